//! Bodies that are no request, whatever route they are sent to.

use super::C;
use nitro_signer_shared::refusal::RefusalCode;
use serde_json::json;

pub(crate) fn texts(from: &str) -> Vec<(String, Vec<u8>, RefusalCode)> {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    let good = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_sign", "params": [from, "0x00"] });
    let good = good.to_string();
    let many = format!("[{}0]", "0,".repeat(262_144));
    let row = |what: &str, text: &[u8], code| (what.to_owned(), text.to_vec(), code);
    let mut rows = vec![
        row("nothing", b"", C::MalformedJson),
        row("a word", b"sign", C::MalformedJson),
        row("half an object", &good.as_bytes()[..good.len() - 1], C::MalformedJson),
        row("two objects", format!("{good}{good}").as_bytes(), C::MalformedJson),
        row("a byte order mark", format!("\u{feff}{good}").as_bytes(), C::MalformedJson),
        row("a duplicate key", br#"{"id":1,"id":1}"#, C::MalformedJson),
        row("a duplicate key, escaped", br#"{"id":1,"\u0069d":1}"#, C::MalformedJson),
        row("a duplicate key, deep", br#"{"params":[[{"a":1,"a":2}]]}"#, C::MalformedJson),
        row("a comment", b"{}//", C::MalformedJson),
        row("a trailing comma", br#"{"id":1,}"#, C::MalformedJson),
        row("no number", b"NaN", C::MalformedJson),
        row("half a surrogate", br#"{"id":"\ud800"}"#, C::MalformedJson),
        row("text that is not UTF-8", b"{\"id\":\"\xff\"}", C::MalformedJson),
        row("33 levels", &nested(33), C::MalformedJson),
        row("500,000 levels", &nested(500_000), C::MalformedJson),
        row("500,000 levels without an end", &vec![b'['; 500_000], C::MalformedJson),
        row("more values than are read", many.as_bytes(), C::MalformedJson),
        row("an object of nothing", b"{}", C::MalformedRequest),
        row("a number", b"1", C::MalformedRequest),
        row("null", b"null", C::MalformedRequest),
    ];
    for unknown in ["surprise", "__proto__", "Params"] {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"eth_accounts","{unknown}":1,"requests":[],
            "from":"{from}","message":"0x","typed_data":{{}},"transaction":{{}}}}"#
        );
        rows.push((format!("a field called {unknown}"), text.into_bytes(), C::MalformedRequest));
    }
    rows
}
