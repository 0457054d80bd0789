use super::*;

fn digits(byte: u8) -> String {
    hex::encode([byte; 48])
}

/// The inner object of an image whose registers are these bytes.
fn registers(pcrs: &[(u8, u8)]) -> String {
    let pcrs = pcrs.iter().map(|(i, byte)| format!(r#", "PCR{i}": "{}""#, digits(*byte)));
    let pcrs: String = pcrs.collect();
    format!(r#""Measurements": {{"HashAlgorithm": "Sha384 {{ ... }}"{pcrs}}}"#)
}

fn three(byte: u8) -> String {
    registers(&[(0, byte), (1, 2), (2, 3)])
}

fn set(pcr0: u8) -> MeasurementSet {
    MeasurementSet::new([pcr0; 48], [2; 48], [3; 48]).expect("not zero")
}

fn read(json: &str) -> Result<MeasurementsFile, MeasurementsError> {
    MeasurementsFile::from_json(json.as_bytes())
}

/// Refused, for a reason that begins like this.
fn refused(json: &str, expected: &str) {
    let error = read(json).expect_err(json).to_string();
    assert!(error.contains(expected), "{error:?} instead of {expected:?}: {json}");
}

/// One image of our form with these members beside the measurements.
fn ours(members: &str) -> String {
    let comma = if members.is_empty() { "" } else { ", " };
    format!(r#"{{"images": [{{{}{comma}{members}}}]}}"#, three(1))
}

/// As `EifDescribeInfo` is printed, with these members changed or added.
fn described(pcrs: &[(u8, u8)], members: &str) -> String {
    format!(r#"{{"EifVersion": 4, {}, {members}}}"#, registers(pcrs))
}

const METADATA: &str = r#""ImageName": "signer", "ImageVersion": "1.0", "Metadata": {
    "BuildTime": "2026-01-01T00:00:00+00:00", "BuildTool": "nitro-cli", "BuildToolVersion": "1.4.2",
    "OperatingSystem": "Linux", "KernelVersion": "4.14.256",
    "DockerInfo": {"Id": "sha256:00", "Size": 1.5, "Config": {"Env": null}}, "Team": ["mine"]}"#;
const CERTIFICATE: &str = r#""SigningCertificate": {"IssuerName": {"CN": "me"}, "Algorithm":
    "ecdsa-with-SHA384", "NotBefore": "a", "NotAfter": "b", "Signature": "00:11"}"#;

#[test]
fn what_nitro_cli_prints_is_one_image() {
    let check = |json: &str, expected: ImageMeasurements| {
        assert_eq!(read(json).expect(json).into_images(), vec![expected.clone()]);
        assert_eq!(MeasurementSet::from_json(json.as_bytes()), Ok(expected.set));
    };
    check(&format!("{{{}}}", three(1)), set(1).into());
    let signed = || set(1).pin(8, [8; 48]).expect("is a register");
    let (three, four) = ([(0, 1), (1, 2), (2, 3)], [(0, 1), (1, 2), (2, 3), (8, 8)]);
    check(&format!("{{{}}}", registers(&four)), signed().into());
    let unsigned = r#""IsSigned": false, "CheckCRC": true"#;
    check(&described(&three, unsigned), set(1).into());
    let known = |set| ImageMeasurements {
        version: Some("1.0".to_owned()),
        builder: Some("nitro-cli 1.4.2".to_owned()),
        ..ImageMeasurements::from(set)
    };
    check(&described(&three, &format!("{unsigned}, {METADATA}")), known(set(1)));
    let text = format!(
        r#""IsSigned": true, {CERTIFICATE}, "CheckCRC": true, "SignatureCheck": true, {METADATA}"#
    );
    check(&described(&four, &text), known(signed()));
}

#[test]
fn an_image_that_nitro_cli_found_wrong_is_refused() {
    let three = [(0, 1), (1, 2), (2, 3)];
    let four = [(0, 1), (1, 2), (2, 3), (8, 8)];
    let check = |pcrs: &[(u8, u8)], members: &str, expected| {
        refused(&described(pcrs, members), expected);
    };
    check(&three, r#""IsSigned": false, "CheckCRC": false"#, "checksum (CheckCRC) is wrong");
    let signed =
        |check: &str| format!(r#""IsSigned": true, {CERTIFICATE}, "CheckCRC": true{check}"#);
    check(&four, &signed(r#", "SignatureCheck": false"#), "signature (SignatureCheck) is wrong");
    check(&four, &signed(""), "do not go together");
    check(&three, &signed(r#", "SignatureCheck": true"#), "do not go together");
    check(&four, r#""IsSigned": false, "CheckCRC": true"#, "do not go together");
    check(&four, r#""IsSigned": true, "CheckCRC": true, "SignatureCheck": true"#, "together");
    check(&three, r#""IsSigned": false"#, "CheckCRC is missing");
    check(&three, r#""CheckCRC": true"#, "IsSigned is missing");
    check(&three, r#""IsSigned": "false", "CheckCRC": true"#, "IsSigned must be true or false");
    check(&three, r#""IsSigned": false, "CheckCRC": true, "Other": 1"#, "\"Other\" is not a field");
    check(&three, r#""IsSigned": false, "CheckCRC": true, "ImageName": 1"#, "ImageName must be");
    check(&three, r#""IsSigned": false, "CheckCRC": true, "Metadata": {}"#, "BuildTool is missing");
    let long =
        format!(r#""IsSigned": false, "CheckCRC": true, "ImageVersion": "{}""#, "v".repeat(257));
    check(&three, &long, "version is not one line");
}

#[test]
fn our_own_form_says_more_and_is_written_again() {
    let json = format!(
        r#"{{"images": [{{{}, "version": "0.2.0"}}, {{{}, "version": "0.1.0", "builder": "b",
        "eif_sha384": "{}", "not_after": "2027-01-01T00:00:00Z", "revoked": "why",
        "toolchain": {{"rustc": "1.95.0", "linux": "6.12"}}}}]}}"#,
        three(1),
        three(9),
        digits(0xAB).to_uppercase(),
    );
    let file = read(&json).expect("is our form");
    let toolchain = [("linux", "6.12"), ("rustc", "1.95.0")];
    let expected = [
        ImageMeasurements { version: Some("0.2.0".to_owned()), ..set(1).into() },
        ImageMeasurements {
            set: set(9),
            version: Some("0.1.0".to_owned()),
            builder: Some("b".to_owned()),
            eif_sha384: Some([0xab; 48]),
            not_after_ms: Some(1_798_761_600_000),
            revoked: Some("why".to_owned()),
            toolchain: toolchain.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
        },
    ];
    assert_eq!(file.images(), expected);
    assert_eq!(read(&file.to_json()), Ok(file.clone()));
    assert_eq!(MeasurementsFile::new(expected.to_vec()), Ok(file));
    assert_eq!(read(&ours("")).expect("is our form").images(), [set(1).into()]);
    // A single set is never read out of a form that may revoke it.
    assert!(MeasurementSet::from_json(ours("").as_bytes()).is_err());
}

#[test]
fn anything_else_is_refused() {
    refused("", "EOF");
    refused("[]", "must be an object");
    refused("{}", "Measurements is missing");
    refused(r#"{"images": []}"#, "0 images; a file has 1 to 64");
    refused(r#"{"images": {}}"#, "images must be an array");
    refused(r#"{"images": [{}]}"#, "Measurements is missing");
    refused(r#"{"images": [1]}"#, "an image must be an object");
    refused(&format!(r#"{{"images": [], {}}}"#, three(1)), "\"Measurements\" is not a field");
    refused(&ours("").replace("PCR2", "PCR1"), "a key stands twice");
    refused(&ours(r#""version": "1", "version": "1""#), "a key stands twice");
    refused(&ours(r#""toolchain": {"a": "1", "a": "1"}"#), "a key stands twice");
    refused(&format!(r#"{{"images": [], {}"#, &ours("")[1..]), "a key stands twice");
    refused(&ours(r#""Version": "1""#), "\"Version\" is not a field");
    refused(&ours("").replace(&digits(1), ""), "PCR0 is not 96 hex digits");
    refused(&ours("").replace(&digits(1), &digits(1)[1..]), "PCR0 is not 96 hex digits");
    refused(&ours("").replace(&digits(1), &digits(1)[2..]), "PCR0 is not 96 hex digits");
    refused(&ours("").replace(&digits(1), &(digits(1) + "00")), "PCR0 is not 96 hex digits");
    refused(&ours("").replace(&digits(1), &digits(1).replace("01", "0x")), "PCR0 is not 96 hex");
    refused(&ours("").replace(&digits(1), &digits(0)), "PCR0 is all zeros");
    refused(&ours("").replace("PCR0", "PCR5"), "a register that nitro-cli does not print");
    refused(&ours("").replace("PCR0", "PCR8"), "PCR0 is missing");
    refused(&ours("").replace("Sha384 {", "Sha256 {"), "HashAlgorithm is not");
    refused(&ours(r#""eif_sha384": "00""#), "eif_sha384 is not 96 hex digits");
    refused(&ours(r#""not_after": "2027-01-01""#), "not_after is no time");
    refused(&ours(r#""not_after": 1798761600"#), "not_after must be a string");
    refused(&ours(r#""revoked": false"#), "revoked must be a string");
    refused(&ours(r#""revoked": """#), "revoked is not one line");
    refused(&ours(r#""version": "a\nb""#), "version is not one line");
    refused(&ours(r#""builder": "\u001b[1m""#), "builder is not one line");
    refused(&ours(r#""toolchain": {"a": 1}"#), "toolchain must be a string");
    refused(&ours(r#""toolchain": {"": "1"}"#), "toolchain is not one line");
    let tools: Vec<String> = (0..=MAX_TOOLS).map(|n| format!(r#""{n}": "1""#)).collect();
    let tools = |most: usize| ours(&format!(r#""toolchain": {{{}}}"#, tools[..most].join(",")));
    assert!(read(&tools(MAX_TOOLS)).is_ok());
    refused(&tools(MAX_TOOLS + 1), "more than 32 entries");
}

#[test]
fn a_file_has_at_most_64_images_and_64_kib() {
    let many = |images: u8| {
        let images: Vec<String> = (1..=images).map(|byte| format!("{{{}}}", three(byte))).collect();
        format!(r#"{{"images": [{}]}}"#, images.join(","))
    };
    let file = read(&many(64)).expect("is not too many");
    assert_eq!(read(&file.to_json()), Ok(file));
    refused(&many(65), "65 images; a file has 1 to 64");
    // Counted before any of them is read.
    let empty = ["{}"; 65].join(",");
    refused(&format!(r#"{{"images": [{empty}]}}"#), "65 images; a file has 1 to 64");
    let padded = |length: usize| ours("") + &" ".repeat(length - ours("").len());
    assert!(read(&padded(MAX_FILE)).is_ok());
    refused(&padded(MAX_FILE + 1), "65537 bytes");
    let long = |byte| ImageMeasurements {
        toolchain: (0..32).map(|n| (format!("{n}"), "v".repeat(MAX_TEXT))).collect(),
        ..set(byte).into()
    };
    let long = MeasurementsFile::new((1..=32).map(long).collect());
    assert!(matches!(long, Err(MeasurementsError::TooLarge(_))));
    assert_eq!(MeasurementsFile::new(vec![]), Err(MeasurementsError::Count(0)));
}

#[test]
fn no_two_images_are_the_same() {
    let check = |images: &[&str], same: Option<(usize, usize)>| {
        let images: Vec<String> = images.iter().map(|image| format!("{{{image}}}")).collect();
        let found = read(&format!(r#"{{"images": [{}]}}"#, images.join(",")));
        let expected = same.map(|(a, b)| MeasurementsError::Same(a, b));
        assert_eq!(found.err(), expected);
    };
    let (one, two) = (three(1), three(2));
    let signed = |byte| registers(&[(0, 1), (1, 2), (2, 3), (8, byte)]);
    let revoked = format!(r#"{one}, "revoked": "why""#);
    check(&[&one, &two], None);
    check(&[&one, &two, &one], Some((0, 2)));
    check(&[&two, &one, &revoked], Some((1, 2)));
    check(&[&signed(8), &signed(9)], None);
    check(&[&signed(8), &revoked], Some((0, 1)));
    check(&[&revoked, &signed(8)], Some((0, 1)));
}

#[test]
fn an_image_is_current_until_its_end_unless_it_is_revoked() {
    let check = |not_after_ms, revoked: Option<&str>, at_ms, expected: Option<NotCurrent>| {
        let revoked = revoked.map(str::to_owned);
        let image = ImageMeasurements { not_after_ms, revoked, ..set(1).into() };
        assert_eq!(image.require_current(at_ms).err(), expected);
    };
    let revoked = || Some(NotCurrent::Revoked("why".to_owned()));
    check(None, None, u64::MAX, None);
    check(Some(5_000), None, 5_000, None);
    check(Some(5_000), None, 5_001, Some(NotCurrent::Over(5_000)));
    check(None, Some("why"), 0, revoked());
    check(Some(5_000), Some("why"), 5_001, revoked());
}
