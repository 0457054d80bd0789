//! Is every hand on the key found, and none but those the manifest names let pass?

use super::*;
use aws_sdk_kms::types::KeyMetadata;
use aws_sdk_kms::types::builders::KeyMetadataBuilder;
use nitro_signer_shared::key_policy::form::{EntityArn, Terms};
use nitro_signer_shared::manifest::{self, FORMAT, Sibling};

const ARN: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const NOW: u64 = 1_000_000;

fn role(name: &str) -> EntityArn {
    format!("arn:aws:iam::111122223333:role/{name}").parse().expect("is a role")
}

fn own() -> AdmittedSet {
    AdmittedSet::new([1; 48], [2; 48])
}

fn other() -> AdmittedSet {
    AdmittedSet::new([3; 48], [4; 48])
}

fn manifest() -> Manifest {
    let name = |text: &str| text.parse().expect("is a name");
    Manifest {
        format: FORMAT,
        version: 1,
        deployment: name("production"),
        vault: name("main"),
        wrapping_keys: vec![ARN.parse().expect("is an ARN")],
        clients: vec![],
        asserted: vec![],
        addresses: vec![],
        policy: String::new(),
        abis: vec![],
        typed_data: vec![],
        switches: Default::default(),
        siblings: vec![],
        custody: manifest::Custody {
            administrators: vec![role("admin")],
            ..manifest::Custody::default()
        },
    }
}

fn terms() -> Terms {
    Terms {
        administrators: [role("admin")].into(),
        break_glass: [].into(),
        auditors: [role("auditor")].into(),
        appliance_roles: [role("appliance")].into(),
        sets: vec![own()],
        vault: manifest().vault_name(),
        vault_creation: true,
        multi_region: false,
        imported_material: false,
    }
}

fn metadata() -> KeyMetadataBuilder {
    KeyMetadata::builder()
        .key_id("1234abcd-12ab-34cd-56ef-1234567890ab")
        .key_manager(KeyManagerType::Customer)
        .key_spec(KeySpec::SymmetricDefault)
        .key_usage(KeyUsageType::EncryptDecrypt)
        .key_state(KeyState::Enabled)
        .origin(OriginType::AwsKms)
        .multi_region(false)
}

fn description(metadata: KeyMetadataBuilder, terms: &Terms) -> KeyDescription {
    KeyDescription {
        metadata: metadata.build().expect("has an id"),
        policy: terms.write().expect("are terms"),
        has_grants: false,
    }
}

/// Asserts what is found of this key, and that the switch, where there is one, lets it pass.
fn check(
    description: &KeyDescription,
    expected: CustodyFinding,
    accept: Option<fn(&mut manifest::Custody)>,
) {
    let judged = Custody::judge(description, &own(), &manifest(), NOW);
    assert_eq!(judged.claim().findings, BTreeSet::from([expected]));
    let refusal = judged.sole().expect_err("is not sole");
    assert_eq!(refusal.code, RefusalCode::Custody);
    assert!(refusal.detail.contains(expected.as_str()), "{refusal}");
    assert!(judged.openable(&manifest()).is_err());
    let mut accepting = manifest();
    accepting.custody.open_regardless = true;
    assert!(judged.openable(&accepting).is_ok() && judged.sole().is_err());
    accepting.custody.open_regardless = false;
    for switch in [accept_root, accept_grants, accept_import, accept_regions] {
        let mut accepting = manifest();
        switch(&mut accepting.custody);
        let judged = Custody::judge(description, &own(), &accepting, NOW);
        let is_the_one = accept.is_some_and(|accept| std::ptr::fn_addr_eq(accept, switch));
        assert_eq!(judged.sole().is_ok(), is_the_one, "{expected:?}");
    }
}

fn accept_root(custody: &mut manifest::Custody) {
    custody.account_root = true;
}
fn accept_grants(custody: &mut manifest::Custody) {
    custody.grants = true;
}
fn accept_import(custody: &mut manifest::Custody) {
    custody.imported_material = true;
}
fn accept_regions(custody: &mut manifest::Custody) {
    custody.multi_region = true;
}

#[test]
fn the_form_alone_is_sole_custody() {
    let judged = Custody::judge(&description(metadata(), &terms()), &own(), &manifest(), NOW);
    assert!(judged.sole().is_ok() && judged.openable(&manifest()).is_ok());
    let claim = judged.claim();
    assert!(claim.is_sole() && claim.other_sets.is_empty() && claim.checked == NOW);
}

#[test]
fn a_key_of_another_kind_is_found() {
    use CustodyFinding::{Kind, MultiRegion, Origin};
    type Accept = Option<fn(&mut manifest::Custody)>;
    let check = |metadata: KeyMetadataBuilder, expected, accept: Accept| {
        check(&description(metadata, &terms()), expected, accept);
    };
    check(metadata().key_manager(KeyManagerType::Aws), Kind, None);
    check(metadata().set_key_manager(None), Kind, None);
    check(metadata().key_spec(KeySpec::Rsa2048), Kind, None);
    check(metadata().set_key_spec(None), Kind, None);
    check(metadata().key_usage(KeyUsageType::SignVerify), Kind, None);
    check(metadata().set_key_usage(None), Kind, None);
    check(metadata().key_state(KeyState::PendingDeletion), Kind, None);
    check(metadata().set_key_state(None), Kind, None);
    check(metadata().origin(OriginType::External), Origin, Some(accept_import));
    check(metadata().origin(OriginType::AwsCloudhsm), Origin, None);
    check(metadata().origin(OriginType::ExternalKeyStore), Origin, None);
    check(metadata().set_origin(None), Origin, None);
    check(metadata().multi_region(true), MultiRegion, Some(accept_regions));
    check(metadata().set_multi_region(None), MultiRegion, Some(accept_regions));
}

#[test]
fn a_grant_is_found() {
    let granted = KeyDescription { has_grants: true, ..description(metadata(), &terms()) };
    check(&granted, CustodyFinding::Grant, Some(accept_grants));
}

#[test]
fn what_a_policy_lets_others_do_is_found() {
    use CustodyFinding::{AccountRoot, Administrator, MultiRegion, Origin, OtherSet, Policy};
    type Accept = Option<fn(&mut manifest::Custody)>;
    let of_terms = |terms: Terms, expected, accept: Accept| {
        check(&description(metadata(), &terms), expected, accept);
    };
    let two = [role("admin"), role("second")];
    of_terms(Terms { administrators: two.into(), ..terms() }, Administrator, None);
    of_terms(Terms { break_glass: [role("glass")].into(), ..terms() }, Administrator, None);
    of_terms(Terms { sets: vec![own(), other()], ..terms() }, OtherSet, None);
    of_terms(Terms { sets: vec![other()], ..terms() }, OtherSet, None);
    // Each register counts: the image under another manifest, and the other way round.
    let mixed = AdmittedSet::new(own().pcr0, other().pcr16);
    of_terms(Terms { sets: vec![own(), mixed], ..terms() }, OtherSet, None);
    let mixed = AdmittedSet::new(other().pcr0, own().pcr16);
    of_terms(Terms { sets: vec![own(), mixed], ..terms() }, OtherSet, None);
    of_terms(Terms { multi_region: true, ..terms() }, MultiRegion, Some(accept_regions));
    of_terms(Terms { imported_material: true, ..terms() }, Origin, Some(accept_import));
    let mut delegated = description(metadata(), &terms());
    delegated.policy = delegated.policy.replacen(
        "\"Statement\": [",
        r#""Statement": [{ "Effect": "Allow", "Principal": { "AWS": "111122223333" },
            "Action": "kms:*", "Resource": "*" },"#,
        1,
    );
    check(&delegated, AccountRoot, Some(accept_root));
    let other_vault = Terms {
        vault: Manifest { vault: "other".parse().expect("is a name"), ..manifest() }.vault_name(),
        ..terms()
    };
    of_terms(other_vault, Policy, None);
}

#[test]
fn other_sets_stand_in_the_claim_and_siblings_are_none() {
    let both = description(metadata(), &Terms { sets: vec![own(), other()], ..terms() });
    let claim = Custody::judge(&both, &own(), &manifest(), NOW).claim();
    let named = OtherSet { pcr0: [3; 48].into(), pcr16: [4; 48].into() };
    assert_eq!(claim.other_sets, BTreeSet::from([named]));
    let sibling = |pcr0: u8, pcr16: u8| {
        let [pcr0, pcr16, rest] = [pcr0, pcr16, 9].map(|byte| [byte; 48].into());
        let siblings = vec![Sibling { pcr0, pcr1: rest, pcr2: rest, pcr16 }];
        Custody::judge(&both, &own(), &Manifest { siblings, ..manifest() }, NOW).claim()
    };
    assert!(sibling(3, 4).is_sole() && sibling(3, 4).other_sets.is_empty());
    assert!(!sibling(3, 5).is_sole() && !sibling(5, 4).is_sole());
}

#[test]
fn an_answer_is_fresh_for_five_minutes() {
    let judged = Custody::judge(&description(metadata(), &terms()), &own(), &manifest(), NOW);
    assert!(judged.is_fresh(NOW) && judged.is_fresh(NOW + 300) && !judged.is_fresh(NOW + 301));
    // The clock never goes backwards; an answer from the future would still be the last one.
    assert!(judged.is_fresh(NOW - 1));
}

#[test]
fn what_was_not_read_is_not_sole() {
    let unread = Custody::unread(&KmsError::Denied, NOW);
    assert_eq!(unread.claim().findings, BTreeSet::from([CustodyFinding::Unread]));
    assert!(unread.sole().is_err() && unread.openable(&manifest()).is_err());
}
