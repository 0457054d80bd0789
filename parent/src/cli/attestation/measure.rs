//! `attestation measure`: what an image would attest, computed from its file.
//!
//! Registers come only of an image whose every check passed. What the builder wrote beside them is
//! shown apart and quoted: nobody measured it.

use crate::cli::output::{Failure, Report, now_ms};
use nitro_signer_shared::attestation::{ImageMeasurements, MeasurementsFile};
use nitro_signer_shared::eif::{self, EifError, Image, SigningCertificate};
use nitro_signer_shared::utc;
use serde_json::Value;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// Measure an enclave image file (EIF): PCR0, PCR1, PCR2, and PCR8 of a signed one. Needs no
/// nitro-cli and no AWS account.
#[derive(clap::Args)]
#[command(
    disable_version_flag = true,
    after_help = "\
Examples:
  nitro-signer attestation measure image.eif
  nitro-signer attestation measure image.eif --format json > measurements.json
  nitro-signer attestation measure image.eif --version 0.2.0 \\
    --not-after 2027-01-01T00:00:00Z > measurements.json
  nitro-signer attestation measure image.eif --version 0.2.0 \\
    --builder \"nitro-cli build-enclave\" --tool nitro-cli=1.4.2 > measurements.json

Exit codes: 0 measured, 2 usage, 3 not an image, or one that would not start."
)]
pub(in crate::cli) struct Measure {
    /// The image; - is standard input.
    #[arg(value_name = "EIF")]
    image: PathBuf,
    /// What to print: `json` is the form of `nitro-cli build-enclave`, which verifiers read.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print a measurements file that names this version, and SHA-384 of the image's file.
    #[arg(long, value_name = "TEXT")]
    version: Option<String>,
    /// Print a measurements file that trusts the image until this time, for example
    /// 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = not_after)]
    not_after: Option<u64>,
    /// Print a measurements file that names what built the image.
    #[arg(long, value_name = "TEXT")]
    builder: Option<String>,
    /// Print a measurements file that names a tool of the build and its version or digest; several
    /// are possible.
    #[arg(long = "tool", value_name = "NAME=VERSION", value_parser = tool)]
    tools: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Measure {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let image = measure(&self.image, open(&self.image)?)?;
        let named = self.version.is_some() || self.builder.is_some() || !self.tools.is_empty();
        let (json, is_file) = if named || self.not_after.is_some() {
            (self.file(&image)?.to_json(), true)
        } else {
            (image.measurements().to_json(), self.format == Format::Json)
        };
        let value: Value = serde_json::from_str(&json).expect("is JSON as it was written");
        let report = Report::new(value);
        Ok(if is_file { report.line(json) } else { text(&image, now_ms(), report) })
    }

    /// The image in our own form of measurements file.
    fn file(self, image: &Image) -> Result<MeasurementsFile, Failure> {
        let listed = ImageMeasurements {
            version: self.version,
            eif_sha384: Some(*image.eif_sha384()),
            not_after_ms: self.not_after,
            builder: self.builder,
            toolchain: self.tools.into_iter().collect(),
            ..image.measurements().clone().into()
        };
        MeasurementsFile::new(vec![listed]).map_err(|e| Failure::usage(e.to_string()))
    }
}

/// A file, or standard input for `-`.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin()));
    }
    let file = std::fs::File::open(path);
    let file = file.map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    Ok(Box::new(BufReader::new(file)))
}

/// Measures the image that comes from this path.
pub(super) fn measure(path: &Path, source: impl Read) -> Result<Image, Failure> {
    eif::measure(source).map_err(|error| {
        let message = format!("{}: {error}", path.display());
        match error {
            EifError::Read(_) => Failure::usage(message),
            _ => Failure::malformed(message),
        }
    })
}

fn text(image: &Image, now_ms: u64, report: Report) -> Report {
    let mut report = report;
    for (index, value) in image.measurements().pcrs() {
        report = report.field(&format!("PCR{index}"), hex::encode(value));
    }
    let format = format!("EIF version {}, {}", image.version(), image.architecture().as_str());
    report = report.field("file SHA-384", hex::encode(image.eif_sha384())).field("format", format);
    report = match image.signing_certificate() {
        None => report.line("Not signed: PCR8 will be zeros."),
        Some(certificate) => signer(certificate, now_ms, report),
    };
    let Some(metadata) = image.metadata() else { return report };
    let build = &metadata.build_metadata;
    let tool = format!("{:?} {:?}", build.build_tool, build.build_tool_version);
    let system = format!("{:?} {:?}", build.operating_system, build.kernel_version);
    report
        .line("NOT measured, and so anybody's word, in the file's metadata:")
        .field("image", format_args!("{:?} {:?}", metadata.image_name, metadata.image_version))
        .field("built", format_args!("{:?} by {tool}", build.build_time))
        .field("system", system)
}

fn signer(certificate: &SigningCertificate, now_ms: u64, report: Report) -> Report {
    let life_s = certificate.not_before_s()..=certificate.not_after_s();
    let at = |seconds: u64| utc::format_ms(seconds.saturating_mul(1_000));
    let report = report
        .field("signed by", format_args!("{:?}", certificate.subject()))
        .field(
            "signature",
            format_args!("{} over PCR0, verified", certificate.algorithm().as_str()),
        )
        .field("valid from", at(*life_s.start()))
        .field("valid until", at(*life_s.end()));
    if life_s.contains(&(now_ms / 1_000)) {
        report
    } else {
        report.line("The certificate is not valid now: nitro-cli will not start the image.")
    }
}

fn tool(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(name, version)| (name.to_owned(), version.to_owned()));
    pair.ok_or_else(|| "NAME=VERSION".to_owned())
}

fn not_after(text: &str) -> Result<u64, String> {
    utc::parse_ms(text).ok_or_else(|| "a time like 2027-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_signer_shared::attestation::MeasurementSet;
    use nitro_signer_shared::eif::{Architecture, Metadata, Parts};

    fn image() -> Vec<u8> {
        let metadata = Metadata { image_name: "signer\u{1b}[1m".to_owned(), ..Metadata::default() };
        let parts = Parts {
            architecture: Architecture::X86_64,
            kernel: b"kernel",
            cmdline: "reboot=k",
            ramdisks: &[b"init", b"application"],
            metadata: &metadata,
            signature: None,
        };
        let mut file = Vec::new();
        eif::write(&parts, &mut file).expect("is an image");
        file
    }

    fn run(file: &[u8], set: impl FnOnce(&mut Measure)) -> Result<(String, Value), Failure> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("image.eif");
        std::fs::write(&path, file).expect("writes");
        let mut measure = Measure {
            image: path,
            format: Format::Text,
            version: None,
            not_after: None,
            builder: None,
            tools: Vec::new(),
        };
        set(&mut measure);
        measure.run().map(Report::into_parts)
    }

    #[test]
    fn what_is_printed_as_json_is_what_a_verifier_reads() {
        let measured = eif::measure(image().as_slice()).expect("is an image");
        let (text, json) = run(&image(), |_| {}).expect("measures");
        let set = MeasurementSet::from_json(json.to_string().as_bytes()).expect("is read");
        assert_eq!(&set, measured.measurements());
        assert!(text.contains(&hex::encode(set.pcrs()[&0])), "{text}");

        let (text, _) = run(&image(), |measure| measure.format = Format::Json).expect("measures");
        assert_eq!(MeasurementSet::from_json(text.as_bytes()), Ok(set.clone()));

        let (text, json) = run(&image(), |measure| {
            measure.version = Some("0.2.0".to_owned());
            measure.not_after = Some(5_000);
            measure.builder = Some("by hand".to_owned());
            measure.tools = vec![("rustc".to_owned(), "1.95.0".to_owned())];
        })
        .expect("measures");
        let file = MeasurementsFile::from_json(text.as_bytes()).expect("is read");
        assert_eq!(MeasurementsFile::from_json(json.to_string().as_bytes()), Ok(file.clone()));
        let listed = &file.images()[0];
        assert_eq!(listed.set, set);
        assert_eq!(listed.version.as_deref(), Some("0.2.0"));
        assert_eq!(listed.not_after_ms, Some(5_000));
        assert_eq!(listed.builder.as_deref(), Some("by hand"));
        assert_eq!(listed.toolchain["rustc"], "1.95.0");
        assert_eq!(listed.eif_sha384.as_ref(), Some(measured.eif_sha384()));
    }

    #[test]
    fn metadata_is_shown_apart_and_quoted() {
        let (text, _) = run(&image(), |_| {}).expect("measures");
        let (measured, said) = text.split_once("NOT measured").expect("says so");
        assert!(measured.contains("PCR2") && measured.contains("Not signed"), "{text}");
        assert!(said.contains(r#""signer\u{1b}[1m""#), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn what_is_no_image_is_malformed_and_what_is_not_there_is_usage() {
        let check = |file: &[u8], expected: u8| {
            assert_eq!(run(file, |_| {}).expect_err("is no image").exit_code(), expected);
        };
        check(b"", 3);
        check(b"{}", 3);
        check(&image()[..600], 3);
        let missing = run(&image(), |measure| measure.image = "/nowhere/image.eif".into());
        assert_eq!(missing.expect_err("is not there").exit_code(), 2);
        let version = run(&image(), |measure| measure.version = Some("a\nb".to_owned()));
        assert_eq!(version.expect_err("is no version").exit_code(), 2);
    }
}
