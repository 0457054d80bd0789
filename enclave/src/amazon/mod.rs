//! The certificate authorities of Amazon's services: Amazon Root CA 1 to 4 and Starfield Services
//! Root CA G2, as published by Amazon Trust Services. Compiled in; the test holds their hashes.

/// The five certificates, in PEM.
pub const ROOTS: [&str; 5] = [
    include_str!("amazon-root-ca-1.pem"),
    include_str!("amazon-root-ca-2.pem"),
    include_str!("amazon-root-ca-3.pem"),
    include_str!("amazon-root-ca-4.pem"),
    include_str!("starfield-services-g2.pem"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    /// SHA-256 of the certificates, from the list of Amazon Trust Services.
    const HASHES: [&str; 5] = [
        "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
        "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
        "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
        "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
        "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
    ];

    #[test]
    fn the_roots_are_amazons() {
        for (root, expected) in ROOTS.iter().zip(HASHES) {
            let der = CertificateDer::from_pem_slice(root.as_bytes()).expect("is a certificate");
            assert_eq!(hex::encode(digest::digest(&digest::SHA256, &der)), expected);
        }
    }
}
