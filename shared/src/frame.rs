//! Frames on the link between parent and enclave: an 8-byte header, then the body.
//!
//! ```text
//! "NS" | version u16 | length u32 | body        (integers big-endian)
//! ```
//!
//! The length is checked before memory is spent, the body is read whole or the connection is
//! given up: a short read is an error, never a shorter message. Parent and enclave ship together,
//! so another version is refused, not negotiated.

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The version both sides must speak.
pub const PROTOCOL_VERSION: u16 = 1;

/// The longest body, in bytes: a batch of records (1 MiB) or a manifest (512 KiB) with a vault
/// and credentials beside it, and CBOR's own overhead.
pub const MAX_BODY: usize = 1_310_720;

const MAGIC: [u8; 2] = *b"NS";
const HEADER: usize = 8;

/// A frame's body, erased when dropped, since a body may carry credentials.
pub type Body = Zeroizing<Vec<u8>>;

/// Why a frame could not be read or written. After any of them the connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer closed the connection between two frames: the ordinary end.
    #[error("the connection was closed")]
    Closed,
    /// The first bytes are not a frame's.
    #[error("not a nitro-signer frame")]
    Magic,
    /// The peer is of another release.
    #[error("the peer speaks version {0}, this side {PROTOCOL_VERSION}")]
    Version(u16),
    /// Longer than [`MAX_BODY`], or empty.
    #[error("a frame of {0} bytes; 1 to {MAX_BODY} are accepted")]
    Length(u32),
    /// The body is not exactly one message of the expected kind.
    #[error("the frame's body is not a message of this protocol")]
    Body,
    /// The stream failed or ended inside a frame.
    #[error("the connection failed")]
    Io(#[from] std::io::Error),
}

/// Reads one frame's body.
///
/// # Errors
/// Every [`FrameError`] but `Body`; [`FrameError::Closed`] only if not one byte of a header came.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> Result<Body, FrameError> {
    let mut header = [0u8; HEADER];
    let first = stream.read(&mut header).await?;
    if first == 0 {
        return Err(FrameError::Closed);
    }
    stream.read_exact(&mut header[first..]).await?;
    let length = body_length(header)?;
    let mut body = Zeroizing::new(vec![0u8; length]);
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Writes one frame and flushes it.
///
/// # Errors
/// [`FrameError::Length`] if the body is empty or too long, [`FrameError::Io`] if the stream fails.
pub async fn write<W: AsyncWrite + Unpin>(stream: &mut W, body: &[u8]) -> Result<(), FrameError> {
    stream.write_all(&header(body)?).await?;
    stream.write_all(body).await?;
    stream.flush().await?;
    Ok(())
}

/// Encodes a message as a frame's body.
///
/// # Errors
/// [`FrameError::Length`] if it would be longer than [`MAX_BODY`].
pub fn encode<T: Serialize>(message: &T) -> Result<Body, FrameError> {
    let body = Zeroizing::new(serde_cbor::to_vec(message).map_err(|_| FrameError::Body)?);
    header(&body)?;
    Ok(body)
}

/// Decodes a body as exactly one message: no unknown field, no byte left over.
///
/// # Errors
/// [`FrameError::Body`].
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    if body.len() > MAX_BODY {
        return Err(FrameError::Length(u32::try_from(body.len()).unwrap_or(u32::MAX)));
    }
    serde_cbor::from_slice(body).map_err(|_| FrameError::Body)
}

fn header(body: &[u8]) -> Result<[u8; HEADER], FrameError> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut header = [0u8; HEADER];
    header[..2].copy_from_slice(&MAGIC);
    header[2..4].copy_from_slice(&PROTOCOL_VERSION.to_be_bytes());
    header[4..].copy_from_slice(&length.to_be_bytes());
    body_length(header)?;
    Ok(header)
}

fn body_length(header: [u8; HEADER]) -> Result<usize, FrameError> {
    let [m0, m1, v0, v1, l0, l1, l2, l3] = header;
    if [m0, m1] != MAGIC {
        return Err(FrameError::Magic);
    }
    let version = u16::from_be_bytes([v0, v1]);
    if version != PROTOCOL_VERSION {
        return Err(FrameError::Version(version));
    }
    let length = u32::from_be_bytes([l0, l1, l2, l3]);
    match usize::try_from(length) {
        Ok(length @ 1..=MAX_BODY) => Ok(length),
        _ => Err(FrameError::Length(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &[u8]) -> Result<Body, FrameError> {
        read(&mut std::io::Cursor::new(bytes.to_vec())).await
    }

    #[tokio::test]
    async fn a_frame_comes_back_as_it_was_written() {
        let mut wire = Vec::new();
        write(&mut wire, b"body").await.expect("writes to memory");
        assert_eq!(check(&wire).await.expect("is a frame").as_slice(), b"body");
    }

    #[tokio::test]
    async fn what_is_not_a_whole_frame_is_refused() {
        let header = |length: u32| [b"NS\x00\x01".as_slice(), &length.to_be_bytes()].concat();
        assert!(matches!(check(b"").await, Err(FrameError::Closed)));
        assert!(matches!(check(b"N").await, Err(FrameError::Io(_))));
        assert!(matches!(check(b"XX\x00\x01\x00\x00\x00\x01a").await, Err(FrameError::Magic)));
        assert!(matches!(check(b"NS\x00\x02\x00\x00\x00\x01a").await, Err(FrameError::Version(2))));
        assert!(matches!(check(&header(0)).await, Err(FrameError::Length(0))));
        assert!(matches!(check(&header(u32::MAX)).await, Err(FrameError::Length(u32::MAX))));
        let long = u32::try_from(MAX_BODY).expect("fits") + 1;
        assert!(matches!(check(&header(long)).await, Err(FrameError::Length(_))));
        assert!(matches!(
            check(&[header(5), b"four".to_vec()].concat()).await,
            Err(FrameError::Io(_))
        ));
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_not_written() {
        let mut wire = Vec::new();
        assert!(matches!(
            write(&mut wire, &vec![0; MAX_BODY + 1]).await,
            Err(FrameError::Length(_))
        ));
        assert!(wire.is_empty());
    }
}
