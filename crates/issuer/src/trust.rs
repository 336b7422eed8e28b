//! Which servers are trusted: the roots that are compiled in, or those in the file or directory that the environment names.

use std::path::Path;
use std::{env, fs, io};

use anyhow::{Context as _, bail};
use rustls::{CertificateError, RootCertStore};
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::environment::Environment;

/// The roots of `CODEX_CA_CERTIFICATE` (codex's own name), else of `SSL_CERT_FILE`, else of `SSL_CERT_DIR`. They replace
/// the compiled-in ones, whereas codex adds those of its own variable to the system's.
///
/// # Errors
/// What is named cannot be read, or holds no PEM certificate. If the compiled-in roots were used then, the only sign of it
/// would be a server that is not trusted.
pub(crate) fn roots(environment: Environment<'_>) -> anyhow::Result<RootCerts> {
    for name in ["CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"] {
        if let Some(path) = environment.path(name) {
            let shown = format!("{name} {}", path.display());
            let pem = fs::read(&path).with_context(|| format!("{shown} cannot be read"))?;
            let roots = certificates(&pem);
            if roots.is_empty() {
                bail!("{shown} holds no PEM certificate: {}", instead(&pem));
            }
            return Ok(RootCerts::new_with_certs(&roots));
        }
    }
    let Some(directories) = environment.path("SSL_CERT_DIR") else { return Ok(RootCerts::WebPki) };
    let shown = format!("SSL_CERT_DIR {}", directories.display());
    let mut roots = Vec::new();
    for directory in env::split_paths(&directories) {
        roots.extend(of_directory(&directory).with_context(|| format!("{shown} cannot be read"))?);
    }
    if roots.is_empty() {
        bail!("{shown} holds no PEM certificate: none of its files does");
    }
    Ok(RootCerts::new_with_certs(&roots))
}

/// Whether a connection failed because no root vouches for the server: none has the name of its issuer, or the one that has
/// it has another key.
pub(crate) fn is_of_unknown_authority(error: &io::Error) -> bool {
    let tls = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = tls else { return false };
    matches!(why, CertificateError::UnknownIssuer | CertificateError::BadSignature)
}

/// The certificates in all files. Other files, such as a README or a revocation list, are ignored.
fn of_directory(directory: &Path) -> io::Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_file() {
            found.extend(certificates(&fs::read(path)?));
        }
    }
    Ok(found)
}

/// The certificates in a text that can be used as roots.
fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let is_root =
        |certificate: &Certificate<'_>| RootCertStore::empty().add(certificate.der().into()).is_ok();
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    items.filter(is_root).collect()
}

/// What a file without a PEM certificate holds instead.
fn instead(content: &[u8]) -> &'static str {
    let holds = |text: &str| content.windows(text.len()).any(|window| window == text.as_bytes());
    if content.is_empty() {
        "it is empty"
    } else if content.starts_with(b"\x30") {
        "it looks like DER, so convert it with openssl x509 -inform der"
    } else if holds("BEGIN TRUSTED CERTIFICATE") {
        "it has the form that only OpenSSL reads (BEGIN TRUSTED CERTIFICATE), so convert it with openssl x509"
    } else if holds("BEGIN CERTIFICATE") {
        "what follows its BEGIN CERTIFICATE cannot be read"
    } else {
        "there is no BEGIN CERTIFICATE in it"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::path::PathBuf;

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn with(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            path
        }
    }

    fn pem() -> String {
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem()
    }

    /// How many roots there are, or `None` for the compiled-in ones.
    fn count(variables: &[(&str, &Path)]) -> Result<Option<usize>, String> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        let lookup = |name: &str| variables.get(name).map(|path| OsString::from(*path));
        match roots(Environment(&lookup)) {
            Ok(RootCerts::Specific(roots)) => Ok(Some(roots.len())),
            Ok(_) => Ok(None),
            Err(e) => Err(format!("{e:#}")),
        }
    }

    #[test]
    fn the_variable_of_codex_goes_before_the_file_and_the_file_before_the_directory() {
        let files = Files::new();
        let (one, two) = (files.with("one", pem()), files.with("two", pem() + &pem()));
        files.with("all/1.pem", pem());
        files.with("all/2.pem", "not a certificate\n".to_owned() + &pem() + &pem());
        files.with("all/README", "Put certificates here.");
        fs::create_dir(files.0.path().join("all/..data")).unwrap();
        let all = files.0.path().join("all");
        let (codex, file, directory) = ("CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "SSL_CERT_DIR");
        let nothing = Path::new("");
        for (variables, expected) in [
            (&[][..], None),
            (&[(codex, one.as_path()), (file, &two), (directory, &all)], Some(1)),
            (&[(file, &two), (directory, &all)], Some(2)),
            (&[(directory, &all)], Some(3)),
            (&[(codex, nothing), (file, nothing), (directory, &all)], Some(3)),
            (&[(codex, nothing), (file, nothing), (directory, nothing)], None),
        ] {
            assert_eq!(count(variables), Ok(expected), "{variables:?}");
        }
    }

    #[test]
    fn a_file_without_a_pem_certificate_is_named_with_its_variable_and_what_it_is() {
        let files = Files::new();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let trusted = made.cert.pem().replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let key = made.signing_key.serialize_pem();
        let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        for (content, expected) in [
            (&b""[..], "it is empty"),
            (made.cert.der(), "it looks like DER, so convert it with openssl x509 -inform der"),
            (
                trusted.as_bytes(),
                "it has the form that only OpenSSL reads (BEGIN TRUSTED CERTIFICATE), so convert it with openssl x509",
            ),
            (broken.as_bytes(), "what follows its BEGIN CERTIFICATE cannot be read"),
            (key.as_bytes(), "there is no BEGIN CERTIFICATE in it"),
        ] {
            let path = files.with("roots.pem", content);
            for name in ["CODEX_CA_CERTIFICATE", "SSL_CERT_FILE"] {
                let message = format!("{name} {} holds no PEM certificate: {expected}", path.display());
                assert_eq!(count(&[(name, &path)]), Err(message));
            }
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_its_variable() {
        let files = Files::new();
        let missing = files.0.path().join("missing");
        for name in ["CODEX_CA_CERTIFICATE", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
            let message = format!(
                "{name} {} cannot be read: No such file or directory (os error 2)",
                missing.display()
            );
            assert_eq!(count(&[(name, &missing)]), Err(message));
        }
        let empty = files.0.path();
        let message =
            format!("SSL_CERT_DIR {} holds no PEM certificate: none of its files does", empty.display());
        assert_eq!(count(&[("SSL_CERT_DIR", empty)]), Err(message));
    }
}
