//! Whom we trust: the roots that are compiled in, or those of the files that the environment names.

use std::path::PathBuf;
use std::{env, fs, io};

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

/// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the compiled-in roots, as in every program that knows them.
///
/// # Errors
/// A file that is named cannot be read.
pub(crate) fn roots() -> io::Result<RootCerts> {
    let path = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let mut files: Vec<_> = path("SSL_CERT_FILE").into_iter().collect();
    if let (true, Some(directory)) = (files.is_empty(), path("SSL_CERT_DIR")) {
        files.extend(
            fs::read_dir(directory)?.flatten().map(|entry| entry.path()).filter(|path| path.is_file()),
        );
    }
    let mut certificates: Vec<Certificate<'static>> = Vec::new();
    for file in files {
        let pem = fs::read(file)?;
        certificates.extend(parse_pem(&pem).filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        }));
    }
    Ok(if certificates.is_empty() { RootCerts::WebPki } else { RootCerts::new_with_certs(&certificates) })
}
