//! `attestation diff`: the registers of two things side by side, be they documents, measurements
//! files or images.
//!
//! It compares what they say and believes nothing: a document is not verified here, so that two
//! are the same proves nothing about an enclave.

use super::given::decode;
use super::measure::{measure, open};
use crate::cli::output::{Failure, Report};
use nitro_signer_shared::attestation::{
    ImageMeasurements, MeasurementsFile, Pcr, UnverifiedDocument, pcr,
};
use nitro_signer_shared::eif::{self, Image};
use nitro_signer_shared::{json as strict_json, utc};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The longest file that is no image, in bytes: four times the longest measurements file, which
/// is longer than any document in base64.
const MAX_TEXT: u64 = 262_144;

/// Compare the registers of two documents, measurements files or images. Nothing is verified.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  nitro-signer attestation diff measurements.json image.eif
  nitro-signer attestation diff document.b64 measurements.json
  nitro-signer attestation diff old.json new.json

Of a document beside measurements or an image, only the registers count that those pin. Of two
measurements files, everything counts.

Exit codes: 0 the same, 1 different, 2 usage, 3 malformed.")]
pub(in crate::cli) struct Diff {
    /// An attestation document (raw, hex, base64 or base64url, or as `--json` printed it), a
    /// measurements file or an image, found out by its content. - is standard input.
    a: PathBuf,
    /// The other.
    b: PathBuf,
}

impl Diff {
    pub(super) fn run(self) -> Result<Report, Failure> {
        if [&self.a, &self.b].iter().all(|path| **path == Path::new("-")) {
            return Err(Failure::usage("only one of the two can be standard input"));
        }
        let comparison = Comparison::of(Side::read(&self.a)?, Side::read(&self.b)?);
        Ok(comparison.report())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Document,
    Measurements,
    Image,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "attestation document",
            Self::Measurements => "measurements file",
            Self::Image => "image",
        }
    }
}

/// One of the two.
struct Side {
    kind: Kind,
    /// What a document says of itself: shown, and not compared.
    about: Vec<(&'static str, String)>,
    entries: Vec<Entry>,
}

/// One set of registers, and what a measurements file says beside them.
#[derive(Clone)]
struct Entry {
    registers: BTreeMap<u8, Pcr>,
    facts: BTreeMap<String, String>,
}

impl Side {
    fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |e: std::io::Error| Failure::usage(format!("{}: {e}", path.display()));
        let mut source = open(path)?;
        let mut start = Vec::new();
        (&mut source).take(eif::MAGIC.len() as u64).read_to_end(&mut start).map_err(failed)?;
        if start == eif::MAGIC {
            return Ok(Self::of_image(&measure(path, start.as_slice().chain(source))?));
        }
        source.take(MAX_TEXT).read_to_end(&mut start).map_err(failed)?;
        if start.len() as u64 > MAX_TEXT {
            return Err(Failure::usage(format!(
                "{}: longer than {MAX_TEXT} bytes",
                path.display()
            )));
        }
        Self::of_text(&start).map_err(|e| Failure::malformed(format!("{}: {e}", path.display())))
    }

    fn of_text(bytes: &[u8]) -> Result<Self, String> {
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            // What is no text form is the raw document; the verifier's reader judges it.
            return Self::of_document(&decode(bytes).unwrap_or_else(|| bytes.to_vec()));
        }
        let mut object = strict_json::read_object(bytes).map_err(|e| e.detail)?;
        let Some(document) = object.take("document") else {
            let file = MeasurementsFile::from_json(bytes).map_err(|e| e.to_string())?;
            return Ok(Self::of_measurements(file));
        };
        let document = document.string("document").map_err(|e| e.to_string())?;
        let document = decode(document.as_bytes());
        Self::of_document(&document.ok_or_else(|| "the document is not base64".to_owned())?)
    }

    fn of_document(bytes: &[u8]) -> Result<Self, String> {
        let document = UnverifiedDocument::parse(bytes).map_err(|e| e.to_string())?;
        let contents = document.unverified();
        let field = |field: Option<&[u8]>| match field {
            None => "absent".to_owned(),
            Some(bytes) => format!("{} bytes", bytes.len()),
        };
        let about = vec![
            ("module", contents.module_id().to_owned()),
            ("time", utc::format_ms(contents.timestamp_ms())),
            ("public_key", field(contents.public_key())),
            ("user_data", field(contents.user_data())),
            ("nonce", field(contents.nonce())),
        ];
        // PCR0 to 2 of zeros are debug mode; any other register of zeros holds nothing.
        let mut registers = contents.pcrs().clone();
        registers.retain(|index, value| *index <= 2 || *value != pcr::ZERO);
        let entries = vec![Entry { registers, facts: BTreeMap::new() }];
        Ok(Self { kind: Kind::Document, about, entries })
    }

    fn of_measurements(file: MeasurementsFile) -> Self {
        let entries = file.images().iter().map(Entry::of_measurements).collect();
        Self { kind: Kind::Measurements, about: vec![], entries }
    }

    fn of_image(image: &Image) -> Self {
        let registers = image.measurements().pcrs().clone();
        let sha384 = ("eif_sha384".to_owned(), hex::encode(image.eif_sha384()));
        let entries = vec![Entry { registers, facts: BTreeMap::from([sha384]) }];
        Self { kind: Kind::Image, about: vec![], entries }
    }
}

impl Entry {
    fn of_measurements(image: &ImageMeasurements) -> Self {
        let named = [
            ("version", image.version.clone()),
            ("builder", image.builder.clone()),
            ("eif_sha384", image.eif_sha384.map(hex::encode)),
            ("not_after", image.not_after_ms.map(utc::format_ms)),
            ("revoked", image.revoked.clone()),
        ];
        let named = named.into_iter().filter_map(|(name, fact)| Some((name.to_owned(), fact?)));
        let tools =
            image.toolchain.iter().map(|(name, v)| (format!("toolchain {name}"), v.clone()));
        Self { registers: image.set.pcrs().clone(), facts: named.chain(tools).collect() }
    }
}

/// What of the two counts, by what they are.
#[derive(Clone, Copy)]
struct Rules {
    /// Registers that A alone has do not count: A is a document, and B pins what it pins.
    a_may_have_more: bool,
    b_may_have_more: bool,
    /// A fact that one side alone states counts.
    all_facts: bool,
}

impl Rules {
    fn of(a: Kind, b: Kind) -> Self {
        let document = |one, other| one == Kind::Document && other != Kind::Document;
        Self { a_may_have_more: document(a, b), b_may_have_more: document(b, a), all_facts: a == b }
    }
}

/// How one value of A stands to that of B.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Row {
    Same(String),
    Different(String, String),
    OnlyA(String),
    OnlyB(String),
}

impl Row {
    /// `None` where neither has a value.
    fn of(a: Option<String>, b: Option<String>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) if a == b => Some(Self::Same(a)),
            (Some(a), Some(b)) => Some(Self::Different(a, b)),
            (Some(a), None) => Some(Self::OnlyA(a)),
            (None, Some(b)) => Some(Self::OnlyB(b)),
            (None, None) => None,
        }
    }

    fn line(&self, name: &str) -> String {
        match self {
            Self::Same(value) => format!("{name:<18}same       {value}"),
            Self::Different(a, b) => {
                format!("{name:<18}different  A {a}\n{:<18}           B {b}", "")
            }
            Self::OnlyA(a) => format!("{name:<18}only in A  {a}"),
            Self::OnlyB(b) => format!("{name:<18}only in B  {b}"),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Same(value) => json!({ "result": "same", "a": value, "b": value }),
            Self::Different(a, b) => json!({ "result": "different", "a": a, "b": b }),
            Self::OnlyA(a) => json!({ "result": "only_in_a", "a": a }),
            Self::OnlyB(b) => json!({ "result": "only_in_b", "b": b }),
        }
    }
}

/// One entry of A beside one of B.
struct Pair {
    places: (usize, usize),
    registers: BTreeMap<u8, Row>,
    facts: BTreeMap<String, Row>,
    same: bool,
}

impl Pair {
    fn of((i, a): (usize, &Entry), (j, b): (usize, &Entry), rules: Rules) -> Self {
        let indices: BTreeSet<u8> = a.registers.keys().chain(b.registers.keys()).copied().collect();
        let registers = indices.into_iter().filter_map(|index| {
            let value = |entry: &Entry| entry.registers.get(&index).map(hex::encode);
            Some((index, Row::of(value(a), value(b))?))
        });
        let registers: BTreeMap<u8, Row> = registers.collect();
        let names: BTreeSet<&String> = a.facts.keys().chain(b.facts.keys()).collect();
        let facts = names.into_iter().filter_map(|name| {
            Some((name.clone(), Row::of(a.facts.get(name).cloned(), b.facts.get(name).cloned())?))
        });
        let facts: BTreeMap<String, Row> = facts.collect();
        let register_counts = |row: &Row| match row {
            Row::Same(_) => false,
            Row::Different(..) => true,
            Row::OnlyA(_) => !rules.a_may_have_more,
            Row::OnlyB(_) => !rules.b_may_have_more,
        };
        let fact_counts = |row: &Row| match row {
            Row::Same(_) => false,
            Row::Different(..) => true,
            Row::OnlyA(_) | Row::OnlyB(_) => rules.all_facts,
        };
        let same = !registers.values().any(register_counts) && !facts.values().any(fact_counts);
        Self { places: (i, j), registers, facts, same }
    }

    /// Whether the registers are the same, whatever is said beside them.
    fn is_one_image(a: &Entry, b: &Entry, rules: Rules) -> bool {
        let bare = |entry: &Entry| Entry { facts: BTreeMap::new(), ..entry.clone() };
        Self::of((0, &bare(a)), (0, &bare(b)), rules).same
    }
}

/// The two, entry by entry.
struct Comparison {
    a: Side,
    b: Side,
    pairs: Vec<Pair>,
    only_a: Vec<usize>,
    only_b: Vec<usize>,
}

impl Comparison {
    fn of(a: Side, b: Side) -> Self {
        let rules = Rules::of(a.kind, b.kind);
        let single = a.entries.len() == 1 && b.entries.len() == 1;
        let (mut pairs, mut only_a) = (Vec::new(), Vec::new());
        for (i, left) in a.entries.iter().enumerate() {
            let mut right = b.entries.iter().enumerate();
            let equal = right.find(|(_, right)| single || Pair::is_one_image(left, right, rules));
            match equal {
                Some(right) => pairs.push(Pair::of((i, left), right, rules)),
                None => only_a.push(i),
            }
        }
        let paired: BTreeSet<usize> = pairs.iter().map(|pair| pair.places.1).collect();
        let mut only_b: Vec<usize> =
            (0..b.entries.len()).filter(|index| !paired.contains(index)).collect();
        // A document is one of the images or none: the others are not missing from it.
        if !pairs.is_empty() {
            if rules.a_may_have_more {
                only_b.clear();
            }
            if rules.b_may_have_more {
                only_a.clear();
            }
        }
        Self { a, b, pairs, only_a, only_b }
    }

    fn same(&self) -> bool {
        self.only_a.is_empty() && self.only_b.is_empty() && self.pairs.iter().all(|pair| pair.same)
    }

    fn report(&self) -> Report {
        let mut report = Report::new(self.json())
            .line("NOT VERIFIED: this compares what the two say.")
            .field("A", self.a.kind.as_str())
            .field("B", self.b.kind.as_str());
        for (name, side) in [("A", &self.a), ("B", &self.b)] {
            for (what, value) in &side.about {
                report = report.field(&format!("{name} {what}"), value);
            }
        }
        for pair in &self.pairs {
            if self.a.entries.len() > 1 || self.b.entries.len() > 1 {
                let (a, b) = pair.places;
                report = report.line(format_args!("Image {a} of A and {b} of B (from 0):"));
            }
            for (index, row) in &pair.registers {
                report = report.line(row.line(&format!("PCR{index}")));
            }
            for (name, row) in &pair.facts {
                report = report.line(row.line(name));
            }
        }
        for (name, side, only) in [("A", &self.a, &self.only_a), ("B", &self.b, &self.only_b)] {
            for place in only {
                let pcr0 = side.entries[*place].registers.get(&0).map(hex::encode);
                let pcr0 = pcr0.unwrap_or_default();
                report = report.line(format_args!("Image {place}: only in {name}, PCR0 {pcr0}"));
            }
        }
        if self.same() { report.line("The same.") } else { report.line("Different.").exit(1) }
    }

    fn json(&self) -> Value {
        let side = |side: &Side| {
            let about: Map<_, _> =
                side.about.iter().map(|(name, v)| ((*name).to_owned(), json!(v))).collect();
            json!({ "kind": side.kind.as_str(), "about": about })
        };
        let pair = |pair: &Pair| {
            let registers =
                pair.registers.iter().map(|(index, row)| (index.to_string(), row.json()));
            let facts = pair.facts.iter().map(|(name, row)| (name.clone(), row.json()));
            json!({
                "a": pair.places.0,
                "b": pair.places.1,
                "same": pair.same,
                "pcrs": registers.collect::<Map<_, _>>(),
                "facts": facts.collect::<Map<_, _>>(),
            })
        };
        let pairs: Vec<Value> = self.pairs.iter().map(pair).collect();
        json!({
            "verified": false,
            "same": self.same(),
            "a": side(&self.a),
            "b": side(&self.b),
            "images": pairs,
            "only_in_a": self.only_a,
            "only_in_b": self.only_b,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nitro_signer_shared::attestation::MeasurementSet;
    use nitro_signer_shared::eif::{Architecture, Metadata, Parts};
    use serde_bytes::ByteBuf;

    /// A document in form alone, with these registers: nobody signed it.
    fn document(pcrs: &[(u8, Pcr)]) -> Vec<u8> {
        #[derive(serde::Serialize)]
        struct Payload {
            module_id: &'static str,
            digest: &'static str,
            timestamp: u64,
            pcrs: BTreeMap<u8, ByteBuf>,
            certificate: ByteBuf,
            cabundle: [ByteBuf; 1],
            public_key: Option<ByteBuf>,
            user_data: Option<ByteBuf>,
            nonce: Option<ByteBuf>,
        }
        let bytes = |bytes: &[u8]| ByteBuf::from(bytes);
        let payload = Payload {
            module_id: "i-0123456789abcdef0-enc0123456789abcdef",
            digest: "SHA384",
            timestamp: 1_798_761_600_000,
            pcrs: pcrs.iter().map(|(index, value)| (*index, bytes(value))).collect(),
            certificate: bytes(&[1]),
            cabundle: [bytes(&[1])],
            public_key: None,
            user_data: Some(bytes(&[])),
            nonce: Some(bytes(&[1; 32])),
        };
        let payload = serde_cbor::to_vec(&payload).expect("encodes");
        let (header, none) = (bytes(&[0xa1, 0x01, 0x38, 0x22]), BTreeMap::<u8, u8>::new());
        let parts = (header, none, bytes(&payload), bytes(&[1; 96]));
        serde_cbor::to_vec(&parts).expect("encodes")
    }

    fn eif(application: &[u8], name: &str) -> Vec<u8> {
        let metadata = Metadata { image_name: name.to_owned(), ..Metadata::default() };
        let parts = Parts {
            architecture: Architecture::X86_64,
            kernel: b"kernel",
            cmdline: "reboot=k",
            ramdisks: &[b"init", application],
            metadata: &metadata,
            signature: None,
        };
        let mut file = Vec::new();
        eif::write(&parts, &mut file).expect("is an image");
        file
    }

    fn set(image: &[u8]) -> MeasurementSet {
        eif::measure(image).expect("is an image").measurements().clone()
    }

    fn listed(image: &[u8], change: impl FnOnce(&mut ImageMeasurements)) -> ImageMeasurements {
        let mut listed = set(image).into();
        change(&mut listed);
        listed
    }

    fn file(images: Vec<ImageMeasurements>) -> Vec<u8> {
        MeasurementsFile::new(images).expect("is a file").to_json().into_bytes()
    }

    /// The registers of an image as an enclave attests them, and two of its place.
    fn attested(image: &[u8]) -> Vec<(u8, Pcr)> {
        let set = set(image);
        let image = set.pcrs().iter().map(|(index, value)| (*index, *value));
        image.chain([(3, pcr::ZERO), (4, [4; 48])]).collect()
    }

    fn run(a: &[u8], b: &[u8]) -> Result<Report, Failure> {
        let dir = tempfile::tempdir().expect("a folder");
        let (path_a, path_b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&path_a, a).expect("writes");
        std::fs::write(&path_b, b).expect("writes");
        Diff { a: path_a, b: path_b }.run()
    }

    /// The exit code, both ways, and the result of each register or fact named.
    fn check(a: &[u8], b: &[u8], exit: u8, rows: &[(&str, &str)]) {
        for (a, b) in [(a, b), (b, a)] {
            let report = run(a, b).expect("is compared");
            assert_eq!(report.exit_code(), exit);
            let (text, json) = report.into_parts();
            assert!(text.contains("NOT VERIFIED"), "{text}");
            assert_eq!((&json["verified"], &json["same"]), (&json!(false), &json!(exit == 0)));
            for (name, expected) in rows {
                let image = &json["images"][0];
                let row = if image["pcrs"][name].is_null() { "facts" } else { "pcrs" };
                let found = image[row][name]["result"].as_str().unwrap_or("not there");
                let found = found.replace("_a", "_one").replace("_b", "_one");
                assert_eq!(&found, expected, "{name}: {json:#}");
            }
        }
    }

    #[test]
    fn two_images_are_compared_by_registers_and_file() {
        let one = eif(b"application", "a");
        check(&one, &one, 0, &[("0", "same"), ("2", "same"), ("eif_sha384", "same")]);
        check(&one, &eif(b"application", "b"), 1, &[("0", "same"), ("eif_sha384", "different")]);
        let other = eif(b"another", "a");
        check(&one, &other, 1, &[("0", "different"), ("1", "same"), ("2", "different")]);
    }

    #[test]
    fn measurements_beside_an_image_count_for_what_both_say() {
        let image = eif(b"application", "a");
        check(set(&image).to_json().as_bytes(), &image, 0, &[("0", "same")]);
        let versioned = listed(&image, |listed| listed.version = Some("1".to_owned()));
        check(&file(vec![versioned]), &image, 0, &[("version", "only_in_one")]);
        let hashed = listed(&image, |listed| listed.eif_sha384 = Some([1; 48]));
        check(&file(vec![hashed]), &image, 1, &[("0", "same"), ("eif_sha384", "different")]);
        let signed = set(&image).pin(8, [8; 48]).expect("is a register").to_json();
        check(signed.as_bytes(), &image, 1, &[("0", "same"), ("8", "only_in_one")]);
    }

    #[test]
    fn between_measurements_files_everything_counts() {
        let (one, two) = (eif(b"application", "a"), eif(b"another", "a"));
        let plain = |image: &[u8]| listed(image, |_| {});
        let (first, second) = (plain(&one), plain(&two));
        let both = file(vec![first.clone(), second.clone()]);
        check(&both, &file(vec![second.clone(), first.clone()]), 0, &[("0", "same")]);
        check(&both, &file(vec![first.clone()]), 1, &[("0", "same")]);
        let revoked = listed(&two, |listed| listed.revoked = Some("why".to_owned()));
        check(&both, &file(vec![first.clone(), revoked]), 1, &[("0", "same")]);
        let ended = listed(&one, |listed| listed.not_after_ms = Some(1_000));
        check(&file(vec![first]), &file(vec![ended]), 1, &[("not_after", "only_in_one")]);
    }

    #[test]
    fn a_document_counts_for_what_the_other_pins() {
        let (one, two) = (eif(b"application", "a"), eif(b"another", "a"));
        let raw = document(&attested(&one));
        check(&raw, &one, 0, &[("0", "same"), ("4", "only_in_one"), ("3", "not there")]);
        check(&raw, &two, 1, &[("0", "different"), ("1", "same")]);
        let listed = |image: &[u8]| listed(image, |_| {});
        check(&raw, &file(vec![listed(&two), listed(&one)]), 0, &[("2", "same")]);
        check(&raw, &file(vec![listed(&two)]), 1, &[("2", "different")]);
        let third = eif(b"third", "a");
        check(&raw, &file(vec![listed(&two), listed(&third)]), 1, &[]);
        let signed = set(&one).pin(8, [8; 48]).expect("is a register").to_json();
        check(&raw, signed.as_bytes(), 1, &[("8", "only_in_one")]);
        let debug: Vec<(u8, Pcr)> = attested(&one)
            .into_iter()
            .map(|(i, v)| (i, if i < 3 { pcr::ZERO } else { v }))
            .collect();
        check(&document(&debug), &one, 1, &[("0", "different")]);
    }

    #[test]
    fn two_documents_are_compared_by_all_registers_in_every_form() {
        let image = eif(b"application", "a");
        let raw = document(&attested(&image));
        let digits = hex::encode(&raw);
        check(&raw, digits.as_bytes(), 0, &[("0", "same"), ("4", "same")]);
        let shown = json!({ "verified": false, "document": digits }).to_string();
        check(&raw, shown.as_bytes(), 0, &[("0", "same")]);
        let elsewhere = document(&attested(&image)[..4]);
        check(&raw, &elsewhere, 1, &[("0", "same"), ("4", "only_in_one")]);
        let (text, json) = run(&raw, &raw).expect("is compared").into_parts();
        let about = json!({
            "module": "i-0123456789abcdef0-enc0123456789abcdef", "time": "2027-01-01T00:00:00Z",
            "public_key": "absent", "user_data": "0 bytes", "nonce": "32 bytes",
        });
        assert_eq!(json["a"]["about"], about);
        assert!(text.contains("A user_data       0 bytes"), "{text}");
    }

    #[test]
    fn what_is_none_of_them_is_malformed() {
        let image = eif(b"application", "a");
        let check = |bytes: &[u8]| {
            assert_eq!(run(&image, bytes).err().map(|e| e.exit_code()), Some(3));
        };
        for bytes in [
            &b""[..],
            b"x",
            b"{}",
            b"{",
            b".eif",
            b".eix",
            br#"{"document":"?"}"#,
            br#"{"document":1}"#,
        ] {
            check(bytes);
        }
        check(&image[..image.len() - 1]);
        check(&document(&[(0, [1; 48])])[1..]);
        let long = vec![b' '; 300_000];
        assert_eq!(run(&image, &long).err().map(|e| e.exit_code()), Some(2));
        let both = Diff { a: "-".into(), b: "-".into() };
        assert_eq!(both.run().err().map(|e| e.exit_code()), Some(2));
    }
}
