//! One HTTP/1.1 request over one stream, with an answer that is bounded in size and time.
//!
//! For the instance metadata service and for the command line. It follows no redirect, keeps no
//! connection and unpacks nothing: whoever answers cannot make the caller do more than it asked.

use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExchangeError {
    #[error("no answer in time")]
    Deadline,
    #[error("the answer is longer than {0} bytes or broke off")]
    Body(usize),
    #[error("no HTTP answer: {0}")]
    Http(#[from] hyper::Error),
}

/// Sends `request` (its URI in origin form, with a Host header) and reads the whole answer of at
/// most `limit` bytes. The body is erased when dropped.
pub(crate) async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    limit: usize,
    deadline: Duration,
) -> Result<Response<Zeroizing<Vec<u8>>>, ExchangeError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let asking = async {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let asking = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, limit).collect().await;
            let body = body.map_err(|_| ExchangeError::Body(limit))?.to_bytes();
            Ok(Response::from_parts(head, Zeroizing::new(body.to_vec())))
        };
        // The connection does the work while the answer is awaited, and ends with it.
        tokio::pin!(asking);
        tokio::select! {
            answer = &mut asking => answer,
            _ = connection => asking.await,
        }
    };
    tokio::time::timeout(deadline, asking).await.map_err(|_| ExchangeError::Deadline)?
}
