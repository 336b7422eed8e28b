//! What is written in several places is the same in all of them.

use std::fs;

use fixture::workspace::repository;

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// What stands between the quotes behind this name, in the first line that begins with it.
fn quoted(text: &str, name: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(&format!("{name} = \""))).unwrap();
    line.split('"').nth(1).unwrap().to_owned()
}

#[test]
fn the_changelog_has_the_version() {
    let version = quoted(&read("Cargo.toml"), "version");
    assert!(read("CHANGELOG.md").contains(&format!("\n## [{version}]")), "{version} is not in the changelog");
}

#[test]
fn the_pages_name_the_images_of_this_version() {
    let version = quoted(&read("Cargo.toml"), "version");
    let text = read("README.md") + &read("docs/own-litellm.md");
    let images = ["$image:", "/rotator:", "/codex-cli:"].map(|image| text.split(image).skip(1));
    let named: Vec<_> =
        images.into_iter().flatten().filter(|tag| tag.starts_with(char::is_numeric)).collect();
    assert!(named.len() > 2, "{named:?}");
    for tag in named {
        let tag = tag.split(|c: char| c != '.' && !c.is_numeric()).next().unwrap();
        assert_eq!(tag, version);
    }
}

#[test]
fn the_toolchain_is_the_oldest_that_the_crates_promise_to_build_with() {
    let toolchain = quoted(&read("rust-toolchain.toml"), "channel");
    assert_eq!(toolchain, quoted(&read("Cargo.toml"), "rust-version") + ".0");
}
