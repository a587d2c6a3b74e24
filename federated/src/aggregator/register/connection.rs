//! Where a database is, and whether TLS leads there. Only this machine is spoken to without it, unless the URL says so; and
//! where there is TLS, the server's name is checked.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What leads to a database.
pub(super) struct Connection {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Connection {
    /// Reads `postgresql://user:password@host:port/database?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem`.
    pub(super) fn read(url: &str) -> io::Result<Self> {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let of = |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        let (mode, root) = (of("sslmode").map(|(_, mode)| mode), of("sslrootcert").map(|(_, path)| path));
        // These two say more here than the driver knows.
        let rest = query.split('&').filter(|pair| !pair.starts_with("sslmode=") && !pair.starts_with("sslrootcert="));
        let rest = format!("{address}?{}", rest.collect::<Vec<_>>().join("&"));
        // The URL has a password in it: errors do not show it.
        let mut config: Config = rest.parse().map_err(|error: tokio_postgres::Error| {
            let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            io::Error::other(format!("the database's url: {why}"))
        })?;
        config.ssl_mode(match mode {
            Some("disable") => SslMode::Disable,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            None if config.get_hosts().iter().all(is_here) => SslMode::Disable,
            None => SslMode::Require,
            Some(other) => {
                let message = format!("the database's url: sslmode is {other}; it must be verify-full or disable");
                return Err(io::Error::other(message));
            }
        });
        let seconds = Duration::from_secs;
        config.connect_timeout(seconds(5)).keepalives_idle(seconds(10)).tcp_user_timeout(seconds(15));
        config.application_name("volet-aggregator");
        let roots = match root.map(Path::new) {
            _ if config.get_ssl_mode() == SslMode::Disable => RootCertStore::empty(),
            Some(path) => read_roots(path)?,
            None => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                roots
            }
        };
        let tls = tls(roots)?;
        Ok(Self { config, tls })
    }
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn read_roots(path: &Path) -> io::Result<RootCertStore> {
    let wrong = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))? {
        let certificate = certificate.map_err(|error| wrong(&error))?;
        roots.add(certificate).map_err(|error| wrong(&error))?;
    }
    Ok(roots)
}

fn tls(roots: RootCertStore) -> io::Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        Connection::read(url).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn other_machines_are_asked_for_tls() {
        assert_eq!(mode("postgresql://volet@db.example.org/volet"), SslMode::Require);
        assert_eq!(mode("postgresql://volet@db.example.org/volet?sslmode=verify-full"), SslMode::Require);
        assert_eq!(mode("postgresql://volet@db.example.org/volet?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgresql://volet@127.0.0.1:5433/volet"), SslMode::Disable);
        assert_eq!(mode("postgresql:///volet?host=/run/postgresql"), SslMode::Disable);
    }

    #[test]
    fn bad_urls_are_refused_without_their_passwords() {
        for url in [
            "postgresql://volet:secret@db/volet?sslmode=prefer",
            "postgresql://volet:secret@db/volet?frobnicate=1",
            "postgresql://volet:secret@db/volet?sslrootcert=/nowhere.pem",
            "mysql://volet:secret@db/volet",
        ] {
            let error = Connection::read(url).err().unwrap().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
