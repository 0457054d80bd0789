//! Writes `CiphertextForRecipient` in each of the forms that its reader takes. The seeds are made by
//! it too.

/// The parts of an envelope.
pub struct Parts<'a> {
    /// The recipient's identifier.
    pub recipient: &'a [u8],
    /// The content's key, encrypted.
    pub key: &'a [u8],
    /// The initialisation vector.
    pub iv: &'a [u8],
    /// The content, encrypted.
    pub content: &'a [u8],
}

/// How constructed values end.
#[derive(Clone, Copy)]
pub enum Lengths {
    /// By the length in their head.
    Definite,
    /// By two zero octets.
    Indefinite,
}

/// RSAES-OAEP with SHA-256 and MGF1 of it; AES-256-CBC up to its parameter; two types of content.
const OAEP: &str = "303c06092a864886f70d010107302fa00f300d06096086480165030402010500\
                    a11c301a06092a864886f70d010108300d06096086480165030402010500";
const AES_256_CBC: &str = "060960864801650304012a";
const ENVELOPED_DATA: &str = "06092a864886f70d010703";
const DATA: &str = "06092a864886f70d010701";
const VERSION_2: &str = "020102";

/// An envelope: outer values by `lengths`, the content in one piece or in chunks of this many bytes.
#[must_use]
pub fn write(parts: &Parts<'_>, lengths: Lengths, chunk: Option<usize>) -> Vec<u8> {
    let constructed = |tag: u8, items: &[&[u8]]| match lengths {
        Lengths::Definite => element(tag, &items.concat()),
        Lengths::Indefinite => [&[tag, 0x80][..], &items.concat(), &[0, 0]].concat(),
    };
    let recipient =
        [unhex(VERSION_2), element(0x80, parts.recipient), unhex(OAEP), element(0x04, parts.key)];
    let recipients = constructed(0x31, &[&constructed(0x30, &[&recipient.concat()])]);
    let content = match chunk {
        None => element(0x80, parts.content),
        Some(size) => {
            let chunks = parts.content.chunks(size).map(|chunk| element(0x04, chunk));
            constructed(0xa0, &[&chunks.collect::<Vec<_>>().concat()])
        }
    };
    let algorithm = element(0x30, &[unhex(AES_256_CBC), element(0x04, parts.iv)].concat());
    let info = constructed(0x30, &[&unhex(DATA), &algorithm, &content]);
    let enveloped = constructed(0x30, &[&unhex(VERSION_2), &recipients, &info]);
    constructed(0x30, &[&unhex(ENVELOPED_DATA), &constructed(0xa0, &[&enveloped])])
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).expect("envelopes are short").to_be_bytes();
    let head = match content.len() {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head.as_slice(), content].concat()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).expect("is hex");
    let byte = |pair: &[u8]| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("is a byte");
    text.as_bytes().chunks(2).map(byte).collect()
}
