//! Tables that are wrong are refused, decisions that differ are shown, and every example holds.

use super::*;
use crate::cli::manifest::tests::{GOOD, folder};

mod examples;
mod page;

const KEY: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";

fn defaults() -> String {
    format!(
        "[defaults]\nfrom = \"{KEY}\"\ntime = 100\ntransaction = {{ chainId = 1, nonce = 0, \
         gas = 21000, gasPrice = 1, to = \"{KEY}\" }}\n"
    )
}

/// A table of one case with these lines.
fn case(lines: &str) -> String {
    format!("{}[[cases]]\nname = \"it\"\n{lines}\n", defaults())
}

fn refuses(table: &str, expected: &str) {
    let error = Table::parse(table, 0).expect_err(table);
    assert!(error.contains(expected), "{expected:?} is not in {error:?}");
}

#[test]
fn a_wrong_table_is_refused() {
    refuses("", "no cases");
    refuses("cases = 1", "invalid type");
    refuses("more = 1", "unknown field `more`");
    refuses("[defaults]\nform = \"0x\"", "unknown field `form`");
    refuses(
        &case("client = \"ops\"\ntext = \"x\"\nexpected = \"allow\""),
        "unknown field `expected`",
    );
    refuses(&case("client = \"ops\"\ntext = \"x\""), "missing field `expect`");
    for (lines, expected) in [
        ("text = \"x\"", "either `client` or `asserted`"),
        ("client = \"ops\"\nasserted = \"ops\"\ntext = \"x\"", "either `client` or `asserted`"),
        ("client = \"ops\"", "exactly one of"),
        ("client = \"ops\"\ntext = \"x\"\nmessage = \"0x\"", "exactly one of"),
        ("client = \"ops\"\ncreate_vault = false", "exactly one of"),
        ("client = \"ops\"\nmessage = \"x\"", "message must be bytes"),
        ("client = \"ops\"\ndigest = \"0x01\"", "digest must be 32 bytes"),
        ("client = \"ops\"\ntext = \"x\"\nfrom = \"0x1\"", "from must be an address"),
        ("client = \"ops\"\ntext = \"x\"\nheld = [\"0x1\"]", "held must be an address"),
        ("client = \"ops\"\ntext = \"x\"\ntime = \"noon\"", "\"noon\" is no time"),
        ("client = \"ops\"\ntext = \"x\"\ntime = 1969-12-31T23:59:59Z", "is no time"),
        ("client = \"ops\"\ntext = \"x\"\nlabels = { Team = \"x\" }", "labels: "),
        (
            "client = \"ops\"\nauthorization = { chain_id = 1, address = \"0x1\", nonce = 0 }",
            "authorization.address must be",
        ),
        (
            "client = \"ops\"\nfrom = \"0x0000000000000000000000000000000000000001\"\ntransaction = \
             { from = \"0x0000000000000000000000000000000000000002\" }",
            "`from` and `transaction.from` differ",
        ),
    ] {
        refuses(&case(&format!("{lines}\nexpect = \"allow\"")), expected);
    }
    refuses(
        &case("client = \"ops\"\ntext = \"x\"\nexpect = \"deny\""),
        "case \"it\": expect: \"deny\"",
    );
    refuses(
        "[[cases]]\nname = \"it\"\nclient = \"a\"\ntext = \"x\"\nexpect = \"allow\"",
        "`from` is missing",
    );
}

#[test]
fn times_have_three_forms() {
    for (text, seconds) in [
        ("86400", 86_400),
        ("1970-01-02T00:00:00Z", 86_400),
        ("\"1970-01-02T01:00:00+01:00\"", 86_400),
    ] {
        let table =
            case(&format!("client = \"ops\"\ntext = \"x\"\nexpect = \"allow\"\ntime = {text}"));
        let table = Table::parse(&table, 0).expect("is good");
        assert_eq!((table.cases[0].time, table.cases[0].key.created), (seconds, seconds), "{text}");
    }
    let now =
        case("client = \"ops\"\ntext = \"x\"\nexpect = \"allow\"").replace("time = 100\n", "");
    assert_eq!(Table::parse(&now, 7).expect("is good").cases[0].time, 7);
}

const RULES: &str = "
    @id(\"early\")
    permit(principal, action, resource) when { context.time <= 100 };
    @id(\"no-mail\")
    forbid(principal, action == Action::\"SignMessage\", resource) when { context.size > 3 };
    @id(\"no-overflow\")
    forbid(principal, action == Action::\"SignMessage32\", resource)
    when { context.time * 9223372036854775806 > 5 };";

/// One case's report under these rules: its text and JSON, and whether the command succeeds.
fn run(lines: &str) -> (String, Value, bool) {
    let dir = folder(GOOD, RULES);
    let table = dir.path().join("table.toml");
    std::fs::write(&table, case(lines)).expect("writes");
    let report = Test { table, manifest: None }.run().expect("can be judged");
    let good = report.exit_code() == 0;
    let (text, json) = report.into_parts();
    (text, json["cases"][0].clone(), good)
}

#[test]
fn every_kind_of_request_is_judged() {
    let word = "61".repeat(32);
    let typed = r#"typed_data = '''{"types":{"A":[{"name":"b","type":"bool"}]},"primaryType":"A","domain":{"name":"x"},"message":{"b":true}}'''"#;
    for (lines, action, decision) in [
        ("transaction = { value = \"0x1\" }", "SignTransaction", "allow"),
        ("text = \"hey\"", "SignMessage", "allow"),
        ("message = \"0x616161\"", "SignMessage", "allow"),
        (typed, "SignTypedData", "allow"),
        ("create_vault = true", "CreateVault", "allow"),
        ("create_key = { labels = { team = \"x\" } }", "CreateKey", "allow"),
        (
            &format!("authorization = {{ chain_id = 0, address = \"{KEY}\", nonce = 1 }}"),
            "SignAuthorization",
            "allow",
        ),
        (&format!("digest = \"0x{word}\""), "SignDigest", "policy_denied"),
        (&format!("message = \"0x{word}\""), "SignMessage32", "policy_error"),
    ] {
        let (text, json, good) =
            run(&format!("client = \"ops\"\n{lines}\nexpect = \"{decision}\""));
        assert!(good, "{text}");
        assert_eq!((&json["action"], &json["decision"]), (&json!(action), &json!(decision)));
    }
}

#[test]
fn what_no_reader_takes_is_refused_by_its_code() {
    for (lines, code) in [
        ("transaction = { nonce = \"0x00\" }", "invalid_transaction"),
        ("transaction = { type = 9 }", "unsupported_transaction"),
        ("typed_data = '{}'", "invalid_typed_data"),
        ("create_key = { labels = { Team = \"x\" } }", "invalid_label"),
    ] {
        let (text, json, good) = run(&format!("client = \"ops\"\n{lines}\nexpect = \"{code}\""));
        assert!(good, "{text}");
        assert_eq!(json["action"], Value::Null);
    }
}

#[test]
fn who_asks_matters() {
    for (who, expect) in [
        ("asserted = \"bot.example\"", "proof_required"),
        ("asserted = \"ops\"", "not_authenticated"),
        ("client = \"ops\"", "allow"),
    ] {
        let (text, _, good) = run(&format!("{who}\ncreate_vault = true\nexpect = \"{expect}\""));
        assert!(good, "{text}");
    }
}

#[test]
fn the_deciding_rules_are_shown_and_compared() {
    let (text, json, good) =
        run("client = \"ops\"\ntext = \"long\"\nexpect = \"policy_denied\"\nrule = \"no-mail\"");
    assert!(good, "{text}");
    assert!(text.contains("permitted by rule \"early\""), "{text}");
    assert!(text.contains("forbidden by rule \"no-mail\""), "{text}");
    assert_eq!(json["forbidding"], json!(["rule \"no-mail\""]));
    for (lines, passes) in [
        // A rule that permits does not refuse.
        ("text = \"long\"\nexpect = \"policy_denied\"\nrule = \"early\"", false),
        ("text = \"hey\"\nexpect = \"allow\"\nrule = \"early\"", true),
        ("text = \"hey\"\nexpect = \"allow\"\nrule = \"rule \\\"early\\\"\"", true),
        ("text = \"hey\"\nexpect = \"allow\"\nrule = \"other\"", false),
        ("text = \"hey\"\nexpect = \"policy_denied\"", false),
        ("text = \"long\"\nexpect = \"allow\"", false),
        ("text = \"long\"\nexpect = \"policy_error\"", false),
        ("text = \"hey\"\ntime = 101\nexpect = \"policy_denied\"", true),
        ("text = \"hey\"\ntime = 101\nexpect = \"policy_denied\"\nrule = \"early\"", false),
    ] {
        let (text, json, good) = run(&format!("client = \"ops\"\n{lines}"));
        assert_eq!((good, &json["passed"]), (passes, &json!(passes)), "{text}");
        assert_eq!(text.starts_with("pass"), passes, "{text}");
        assert_eq!(text.contains("expected: "), !passes, "{text}");
    }
    let (text, json, good) = run(&format!(
        "client = \"ops\"\nmessage = \"0x{}\"\nexpect = \"policy_error\"\nrule = \"no-overflow\"",
        "00".repeat(32)
    ));
    assert!(good && text.contains("cannot evaluate rule \"no-overflow\""), "{text}");
    assert_eq!(json["failing"], json!(["rule \"no-overflow\""]));
}

#[test]
fn what_is_made_is_about_the_vault() {
    let rules = "permit(principal, action, resource == Vault::\"main\");";
    let dir = folder(GOOD, rules);
    let Loaded { policy, .. } = Loaded::open(dir.path()).expect("loads");
    for (request, allowed) in
        [("create_vault = true", true), ("create_key = {}", true), ("text = \"x\"", false)]
    {
        let expect = if allowed { "allow" } else { "policy_denied" };
        let table = case(&format!("client = \"ops\"\n{request}\nexpect = \"{expect}\""));
        let table = Table::parse(&table, 0).expect("is good");
        assert!(judge(&policy, &table)[0].passes(), "{request}");
    }
}

#[test]
fn who_delegates_a_held_account_must_prove_it() {
    // Any point and any s make somebody's signature; here the base point's x and 1.
    let list = "authorizationList = [{ chainId = 1, nonce = 0, yParity = 0, s = \"0x1\", address = \
                \"0x0000000000000000000000000000000000000001\", r = \
                \"0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\" }]";
    let tx = format!("transaction = {{ maxFeePerGas = 1, maxPriorityFeePerGas = 1, {list} }}");
    let table = |held: &str, expect: &str| {
        let lines = format!("asserted = \"bot.example\"\n{tx}\n{held}\nexpect = \"{expect}\"");
        let table = case(&lines).replace("gasPrice = 1, ", "");
        Table::parse(&table, 0).expect("is good")
    };
    let strangers = table("", "allow");
    let Ok(table::Asked::Transaction(transaction)) = &strangers.cases[0].asked else {
        unreachable!("{:?}", strangers.cases[0].asked);
    };
    let held = format!("held = [\"{}\"]", transaction.delegations()[0].authority);
    let dir = folder(GOOD, RULES);
    let Loaded { policy, .. } = Loaded::open(dir.path()).expect("loads");
    for table in [&strangers, &table(&held, "proof_required")] {
        let judged = judge(&policy, table);
        assert!(judged[0].passes(), "{}", judged[0].text());
    }
}

#[test]
fn the_keys_own_account_is_held_unless_the_table_says_otherwise() {
    let table = case("client = \"ops\"\ntext = \"x\"\nexpect = \"allow\"");
    let own = Table::parse(&table, 0).expect("is good");
    assert_eq!(own.cases[0].held, [own.cases[0].key.address]);
    let none = Table::parse(&format!("{table}held = []"), 0).expect("is good");
    assert!(none.cases[0].held.is_empty());
}

#[test]
fn a_case_says_what_the_key_is() {
    let read = |lines: &str| {
        let table = case(&format!("client = \"ops\"\ntext = \"x\"\nexpect = \"allow\"\n{lines}"));
        let table =
            table.replace("time = 100", "time = 100\nlabels = { a = \"b\" }\ncreator = \"ana\"");
        Table::parse(&table, 0).expect("is good").cases.remove(0).key
    };
    let key = read("");
    assert_eq!((key.created, key.creator.as_str(), key.origin.as_str()), (100, "ana", "generated"));
    assert_eq!(key.labels.get("a").map(String::as_str), Some("b"));
    let key = read("created = 7\ncreator = \"ben\"\norigin = \"imported\"\nlabels = {}");
    assert_eq!((key.created, key.creator.as_str(), key.origin.as_str()), (7, "ben", "imported"));
    assert!(key.labels.is_empty());
    let other = "0x0000000000000000000000000000000000000001";
    assert_eq!(read(&format!("from = \"{other}\"")).address.to_string(), other);
}

#[test]
fn the_manifest_may_lie_elsewhere() {
    let (dir, tables) = (folder(GOOD, RULES), tempfile::tempdir().expect("a directory"));
    let table = tables.path().join("table.toml");
    std::fs::write(&table, case("client = \"ops\"\ntext = \"x\"\nexpect = \"allow\""))
        .expect("writes");
    assert!(Test { table: table.clone(), manifest: None }.run().is_err());
    let elsewhere = Test { table, manifest: Some(dir.path().to_owned()) };
    assert_eq!(elsewhere.run().expect("can be judged").exit_code(), 0);
}
