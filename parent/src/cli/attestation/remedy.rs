//! What to do about each finding, in one or two sentences for whoever ran the command.

use nitro_signer_shared::attestation::Finding;

/// What to do when a document breaks this rule.
pub(in crate::cli) const fn remedy(finding: Finding) -> &'static str {
    use Finding::{
        A1, A2, A3, A4, A5, A6, A7, A8, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, E1, E2, E3, E4,
        E5, E6, E7, E8, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, S1, S2, T1, T2, T3,
    };
    match finding {
        E1 | E2 => "Check that the whole document was copied and nothing else with it.",
        E3 | E4 | E5 | E6 | E7 | E8 => {
            "This is not a document as a Nitro secure module writes it. Fetch it again from the \
             enclave; if it stays, something in between re-encodes or forges documents."
        }
        P11 => "This is a NitroTPM's document. Ask the enclave, not the instance, for one.",
        P1 | P2 | P3 | P4 | P5 | P6 | P7 | P8 | P9 | P10 => {
            "The payload is not what a Nitro secure module writes. Fetch the document again; \
             report it if a genuine enclave made it."
        }
        C1 => {
            "Name the root that this partition uses by --root: GovCloud, China and development \
             stacks have their own. A document under no root that you trust proves nothing."
        }
        C10 => "One of its certificates is on your deny-list. Do not trust this enclave.",
        C2 | C3 | C4 | C5 | C6 | C8 | C9 => {
            "The certificates do not lead to the root. Do not trust this document."
        }
        S1 | S2 => "The document was changed or forged. Do not trust it.",
        C7 => {
            "Fetch a new document: certificates live for hours. For an archived one say \
             --at document, or the time as of which you judge; check this machine's clock."
        }
        T1 => "Judge chain and document as of one time.",
        T2 => {
            "Fetch a new document, or say by --max-age how old it may be and by --at as of when \
             you judge; check this machine's clock."
        }
        T3 => "The document's time is outside its signer's life. Do not trust it.",
        A1 => {
            "Start the enclave without --debug-mode. Say --allow-debug only where nothing is at \
             stake: the host reads a debug enclave's memory."
        }
        A2 => {
            "Another image runs there than any you named by --expect, or one that you revoked or whose \
             time is over. Rebuild or download the release's measurements, or stop and find out \
             who deployed what."
        }
        A3 => "A pinned register differs: check role, instance, signer or --pcr.",
        A4 => "This is not the answer to your nonce: it may be an old one, replayed. Ask again.",
        A5 => {
            "The document commits to other data than what came with it. Fetch both again in one \
             answer; if it stays, the host changes what the enclave says."
        }
        A6 => "Module, certificate and PCR4 do not name one instance. Do not trust it.",
        A7 => "Give one self-signed P-384 root certificate by --root.",
        A8 => {
            "Another manifest is loaded there than yours: other clients, other policy, perhaps \
             another KMS key. Compare them by `nitro-signer manifest diff`."
        }
    }
}
