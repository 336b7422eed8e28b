//! The images for arm64, and the lists of both.

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::podman::{does, said};

use crate::images::{IMAGES, build, described_as, inside};

/// The number of a processor in an ELF file: 62 is `EM_X86_64`, 183 is `EM_AARCH64`.
fn processor(program: &Path) -> u8 {
    let elf = fs::read(program).unwrap();
    assert_eq!(elf[..4], *b"\x7fELF", "{}", program.display());
    elf[18]
}

#[test]
fn every_image_is_made_for_arm64_too_with_programs_for_it_alone() {
    let repository_name = "localhost/codex-podkit-arm64";
    // The agent's Containerfile runs nothing, so that any base will do here.
    let base = format!("{repository_name}/base");
    let empty = tempfile::NamedTempFile::new().unwrap();
    does(["import", "--quiet", "--arch", "arm64", empty.path().to_str().unwrap(), &base]);
    let names = build(&IMAGES, repository_name, &[("ARCHITECTURES", "arm64"), ("AGENT_BASE", &base)]);
    assert_eq!(names.len(), IMAGES.len());
    for (image, name) in IMAGES.into_iter().zip(&names) {
        assert_eq!(described_as(name)["Architecture"], "arm64", "{image}");
        inside(name, |root| {
            let (directory, scripts) = match image {
                "agent" => ("usr/local/bin", &["agent-entrypoint", "git-credential-pat"][..]),
                _ => ("bin", &[][..]),
            };
            let programs = fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path());
            let programs: Vec<_> = programs
                .filter(|path| !scripts.contains(&path.file_name().unwrap().to_str().unwrap()))
                .collect();
            assert!(!programs.is_empty(), "{image}");
            for program in programs {
                assert_eq!(processor(&program), 183, "{image}: {}", program.display());
            }
        });
        println!("{image} for arm64: {:.2} MB", described_as(name)["Size"].as_f64().unwrap() / 1e6);
    }
    for name in names.iter().chain([&base]) {
        does(["rmi", "--force", name]);
    }
}

#[test]
fn for_both_architectures_a_name_is_a_list_that_is_pushed_as_a_whole() {
    let build =
        || build(&["accounts-serve"], "localhost/codex-podkit-both", &[("ARCHITECTURES", "amd64 arm64")]);
    let name = build().remove(0);
    let inspect = || said(["manifest", "inspect", &name]);
    let list = inspect();
    let read: Value = serde_json::from_str(&list).unwrap();
    let images = read["manifests"].as_array().unwrap();
    let of: Vec<_> = images.iter().map(|image| image["platform"]["architecture"].as_str().unwrap()).collect();
    assert_eq!(of, ["amd64", "arm64"]);
    for (architecture, number) in [("amd64", 62), ("arm64", 183)] {
        let member = format!("{name}-{architecture}");
        let program = inside(&member, |root| processor(&root.join("bin/accounts-serve")));
        assert_eq!(program, number, "{architecture}");
    }
    let directory = tempfile::tempdir().unwrap();
    let pushed = format!("oci:{}", directory.path().display());
    does(["manifest", "push", "--quiet", "--all", &name, &pushed]);
    let blobs = fs::read_dir(directory.path().join("blobs/sha256")).unwrap().count();
    assert!(blobs >= 6, "two images, each with a manifest, a configuration and a layer: {blobs}");

    build();
    assert_eq!(inspect(), list, "the same again");
    does(["manifest", "rm", &name]);
    for architecture in ["amd64", "arm64"] {
        does(["rmi", "--force", &format!("{name}-{architecture}")]);
    }
}
