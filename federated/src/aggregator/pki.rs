//! Certificates: an authority of the team's own, and no names in them but the server's.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SignatureAlgorithm,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};

use crate::signing::VerifyingKey;

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
#[non_exhaustive]
pub enum PkiError {
    #[error("the certificate cannot be made: {0}")]
    Rcgen(#[from] rcgen::Error),
    #[error("{0} days are no validity: use 1 to {MAX_DAYS}")]
    Days(u32),
}

const MAX_DAYS: u32 = 36_500;
/// What comes before the 32 bytes of an Ed25519 key in a certificate (RFC 8410).
const ED25519: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs the certificates of the server and of sites.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, PEM.
#[derive(Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// The key, PKCS #8: a secret.
    pub key: String,
}

struct SiteKey([u8; 32]);

impl PublicKeyData for SiteKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ED25519
    }
}

impl CertificateAuthority {
    /// A new authority: its certificate, for devices to pin, and its key.
    ///
    /// # Errors
    /// A [`PkiError`].
    pub fn create(days: u32) -> Result<Certified, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let certificate = authority(days)?.self_signed(&key)?.pem();
        Ok(Certified { certificate, key: key.serialize_pem() })
    }

    /// The authority with this key (PEM).
    ///
    /// # Errors
    /// A [`PkiError`].
    pub fn open(key: &str) -> Result<Self, PkiError> {
        // Of its own certificate an issuer needs what all authorities here have in common.
        Ok(Self { issuer: Issuer::new(authority(1)?, KeyPair::from_pem(key)?) })
    }

    /// A certificate for a server with these names or addresses.
    ///
    /// # Errors
    /// A [`PkiError`].
    pub fn server(&self, names: Vec<String>, days: u32) -> Result<Certified, PkiError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        let mut params = params("Volet aggregator", days)?;
        params.subject_alt_names = subject_alt_names;
        // Also to call other replicas.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Certified { certificate, key: key.serialize_pem() })
    }

    /// A certificate (DER) for a site with this key. It says nothing else of the site.
    ///
    /// # Errors
    /// A [`PkiError`].
    pub fn site(&self, key: &VerifyingKey, days: u32) -> Result<Vec<u8>, PkiError> {
        let mut params = params("Volet site", days)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(params.signed_by(&SiteKey(key.to_bytes()), &self.issuer)?.der().to_vec())
    }
}

/// The site that a certificate (DER) is for: its Ed25519 key. Whether the certificate is good was TLS's to find out.
pub fn site_of(certificate: &[u8]) -> Option<VerifyingKey> {
    let certificate = certificate.into();
    let certificate = webpki::EndEntityCert::try_from(&certificate).ok()?;
    let info = certificate.subject_public_key_info();
    VerifyingKey::from_bytes(info.strip_prefix(&ED25519)?.try_into().ok()?)
}

/// The first certificate of a PEM file, DER.
pub(super) fn certificate_der(pem: &str) -> Option<Vec<u8>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|certificate| certificate.to_vec())
}

fn authority(days: u32) -> Result<CertificateParams, PkiError> {
    let mut params = params("Volet authority", days)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

fn params(name: &str, days: u32) -> Result<CertificateParams, PkiError> {
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(PkiError::Days(days));
    }
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    // A device's clock may be a little behind.
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(i64::from(days));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SigningKey;

    #[test]
    fn a_certificate_names_a_key_and_nobody() {
        let authority = CertificateAuthority::open(&CertificateAuthority::create(10).unwrap().key).unwrap();
        let key = VerifyingKey::from(&SigningKey::from([7; 32]));
        let certificate = authority.site(&key, 365).unwrap();
        assert_eq!(site_of(&certificate), Some(key));
        assert!(site_of(&certificate[..certificate.len() - 1]).is_none());
        assert!(site_of(b"certainly not").is_none());
        for days in [0, MAX_DAYS + 1] {
            assert!(matches!(authority.site(&key, days), Err(PkiError::Days(_))));
        }
    }
}
