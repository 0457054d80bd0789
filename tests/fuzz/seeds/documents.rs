//! Attestation documents: whole, their payloads, and their chains.

use crate::Seeds;
use const_oid::db::rfc4519::COMMON_NAME;
use nitro_signer_shared::attestation::UnverifiedDocument;
use nitro_signer_tests::nsm::certificate::{ExtensionDraft, name};
use nitro_signer_tests::nsm::chain::Level;
use nitro_signer_tests::nsm::document::{DocumentDraft, MapForm, cbor};
use nitro_signer_tests::nsm::{Clock, DevelopmentRoot, MapForms, MockNsm, Options};
use serde_cbor::Value;
use std::io;
use std::path::Path;
use x509_cert::ext::pkix::KeyUsages;

const NOW_MS: u64 = 1_767_225_600_000;
/// What the target `chain` demands of a leaf's name: `MODULE` of the targets' `document`.
const LEAF: &str = "i-0123456789abcdef0-enc0123456789abcdef.us-east-1.aws";
/// Switches of the target `chain`.
const AS_IT_IS: u8 = 1;

/// Documents by the mock secure module, in both forms, and with defects.
pub(crate) fn made(seeds: &Seeds) -> io::Result<()> {
    let root = DevelopmentRoot::generate();
    for (form_name, form) in [("definite", MapForm::Definite), ("indefinite", MapForm::Indefinite)]
    {
        let options = Options {
            map_forms: MapForms::Only(form),
            clock: Clock::fixed(NOW_MS),
            role_arn: Some("arn:aws:iam::111122223333:role/appliance".to_owned()),
            signer: Some([8; 48]),
            ..Options::default()
        };
        let nsm = MockNsm::new(&root, [[1; 48], [2; 48], [3; 48]], options);
        let full = nsm.draft(Some(&[1; 64]), Some(&[2; 1_024]), Some(&[3; 294]));
        add(seeds, &format!("full-{form_name}"), &full.sign())?;
        let draft = nsm.draft(None, None, Some(&[]));
        add(seeds, &format!("bare-{form_name}"), &draft.sign())?;
        let mut tagged = draft.clone();
        tagged.envelope.tags = vec![18];
        add(seeds, &format!("tagged-{form_name}"), &tagged.sign())?;
        for (defect_name, defect) in DEFECTS {
            let mut draft = draft.clone();
            defect(&mut draft);
            draft.reissue();
            add(seeds, &format!("{defect_name}-{form_name}"), &draft.sign())?;
        }
    }
    Ok(())
}

type Defect = fn(&mut DocumentDraft);

/// One change each; the first is none.
const DEFECTS: [(&str, Defect); 8] = [
    ("named", |draft| draft.chain.draft_mut(Level::Leaf).subject = name(&[(COMMON_NAME, LEAF)])),
    ("usage", |draft| {
        let usage = ExtensionDraft::usage(true, KeyUsages::DigitalSignature);
        draft.chain.draft_mut(Level::Zonal).extensions[3] = usage;
    }),
    ("path-length", |draft| {
        draft.chain.draft_mut(Level::Region).extensions[0] =
            ExtensionDraft::constraints(true, Some(0));
    }),
    ("expired", |draft| draft.chain.draft_mut(Level::Instance).not_after_s = NOW_MS / 1_000 - 1),
    ("version-1", |draft| draft.chain.draft_mut(Level::Zonal).version = 0),
    ("late", |draft| draft.chain.draft_mut(Level::Region).not_after_s = 253_402_300_799),
    ("unknown-key", |draft| draft.payload.set("nitrotpm_pcrs", cbor::null())),
    ("more-registers", |draft| {
        let register = |index: u64| [cbor::unsigned(index), cbor::bytes(&[5; 48])].concat();
        let registers: Vec<u8> = (0..32).flat_map(register).collect();
        draft.payload.set("pcrs", [cbor::head(5, 32), registers].concat());
    }),
];

/// Documents of real enclaves and what others made of them, wherever below `folder`.
pub(crate) fn real(seeds: &Seeds, folder: &Path) -> io::Result<()> {
    for below in ["real", "variants"] {
        for file in std::fs::read_dir(folder.join(below))? {
            let path = file?.path();
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            add(seeds, &format!("{below}-{stem}"), &std::fs::read(&path)?)?;
        }
    }
    Ok(())
}

/// A document, and its parts as far as it has them.
fn add(seeds: &Seeds, name: &str, document: &[u8]) -> io::Result<()> {
    seeds.add("envelope", name, document)?;
    let untagged = document.strip_prefix(&[0xd2]).unwrap_or(document);
    if let Ok(Value::Array(elements)) = serde_cbor::from_slice(untagged)
        && let Some(Value::Bytes(payload)) = elements.get(2)
    {
        seeds.add("payload", name, payload)?;
    }
    let Ok(document) = UnverifiedDocument::parse(document) else { return Ok(()) };
    for (switches_name, switches) in [("", 0), ("-as-it-is", AS_IT_IS)] {
        let chain = chain(&document, switches);
        seeds.add("chain", &format!("{name}{switches_name}"), chain)?;
    }
    Ok(())
}

fn chain(document: &UnverifiedDocument, switches: u8) -> Vec<u8> {
    let contents = document.unverified();
    let mut seed = vec![switches];
    seed.extend(contents.timestamp_ms().to_be_bytes());
    let bundle = contents.cabundle().iter().map(Vec::as_slice);
    for certificate in bundle.chain([contents.certificate()]) {
        // The reader takes at most 1,024 bytes.
        seed.extend(u16::try_from(certificate.len()).unwrap_or(u16::MAX).to_be_bytes());
        seed.extend(certificate);
    }
    seed
}
