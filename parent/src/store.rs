//! The key store: one vault and the sealed key records, in a local folder or in S3.
//!
//! Everything in it is sealed by the enclave and worthless without KMS. The store must never
//! overwrite: an object is created only where none is, then read back and compared, so that what
//! counts as stored is stored. Objects are `vault` and `records/<32 hex of the record id>`.
//!
//! In a folder, an object is written to a staged file, fsynced, and published by a hard link,
//! which fails if the name is taken; then the folder is fsynced. In S3 it is `If-None-Match: *`.

use alloy_primitives::FixedBytes;
use futures_util::stream::{BoxStream, StreamExt};
use nitro_signer_shared::message::{MAX_RECORD, MAX_VAULT};
use nitro_signer_shared::refusal::{Refusal, RefusalCode};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::credentials::{Provider, StoreCredentials};

/// Records that are read at a time.
const CONCURRENT_READS: usize = 16;
const RECORDS: &str = "records";

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreAddress {
    /// `file:///var/lib/nitro-signer`
    Folder(PathBuf),
    /// `s3://bucket/prefix`
    S3 {
        /// The bucket.
        bucket: String,
        /// What stands before every object's name; may be empty.
        prefix: String,
    },
}

impl FromStr for StoreAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file://").filter(|path| path.starts_with('/')) {
            return Ok(Self::Folder(path.into()));
        }
        let Some((bucket, prefix)) =
            text.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")))
        else {
            return Err("store: write file:///FOLDER or s3://BUCKET/PREFIX".to_owned());
        };
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b".-".contains(&c);
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(plain) {
            return Err("store: not a bucket's name".to_owned());
        }
        Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

/// The key store.
#[derive(Clone, Debug)]
pub(crate) struct Store(Arc<dyn ObjectStore>);

/// A record as the store has it: its bytes, or only the name of what cannot be one.
pub(crate) enum Stored {
    Record(Vec<u8>),
    NotARecord(String),
    /// Listed, but could not be read this time.
    Unreadable,
}

impl Store {
    /// Opens the store; a folder is made if it is not there, readable by its owner only.
    ///
    /// # Errors
    /// A sentence about what is wrong with the address.
    pub(crate) fn open(
        address: &StoreAddress,
        region: &str,
        endpoint: Option<&str>,
        credentials: Arc<Provider>,
    ) -> Result<Self, String> {
        match address {
            StoreAddress::Folder(path) => {
                let failed = |e: &dyn std::fmt::Display| format!("store {}: {e}", path.display());
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(path)
                    .map_err(|e| failed(&e))?;
                let folder = LocalFileSystem::new_with_prefix(path).map_err(|e| failed(&e))?;
                Ok(Self(Arc::new(folder.with_fsync(true))))
            }
            StoreAddress::S3 { bucket, prefix } => {
                let mut builder = AmazonS3Builder::new()
                    .with_bucket_name(bucket)
                    .with_region(region)
                    .with_credentials(Arc::new(StoreCredentials::new(credentials)));
                if let Some(endpoint) = endpoint {
                    let plain = endpoint.starts_with("http://");
                    builder = builder.with_endpoint(endpoint).with_allow_http(plain);
                }
                let store = builder.build().map_err(|e| format!("store: {e}"))?;
                Ok(Self(Arc::new(PrefixStore::new(store, prefix.as_str()))))
            }
        }
    }

    /// A store that is gone with the process: for what must not be kept.
    pub(crate) fn in_memory() -> Self {
        Self(Arc::new(InMemory::new()))
    }

    /// The stored vault, if there is one.
    ///
    /// # Errors
    /// [`RefusalCode::StoreFailed`].
    pub(crate) async fn vault(&self) -> Result<Option<Vec<u8>>, Refusal> {
        match self.read(&Path::from("vault"), MAX_VAULT).await {
            Ok(vault) => Ok(Some(vault)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("the vault could not be read", &error)),
        }
    }

    /// Stores a vault where none is.
    ///
    /// # Errors
    /// [`RefusalCode::StoreConflict`] or [`RefusalCode::StoreFailed`].
    pub(crate) async fn create_vault(&self, vault: &[u8]) -> Result<(), Refusal> {
        self.create(Path::from("vault"), vault, MAX_VAULT).await
    }

    /// Stores a record under its id, which must be new.
    ///
    /// # Errors
    /// [`RefusalCode::StoreConflict`] or [`RefusalCode::StoreFailed`].
    pub(crate) async fn create_record(
        &self,
        id: &FixedBytes<16>,
        record: &[u8],
    ) -> Result<(), Refusal> {
        self.create(Path::from_iter([RECORDS, &hex::encode(id)]), record, MAX_RECORD).await
    }

    /// Every record, a few at a time, in no order.
    pub(crate) fn records(&self) -> BoxStream<'_, Result<Stored, Refusal>> {
        let listed = self.0.list(Some(&Path::from(RECORDS)));
        listed.map(|meta| self.record(meta)).buffer_unordered(CONCURRENT_READS).boxed()
    }

    async fn record(&self, meta: Result<ObjectMeta, Error>) -> Result<Stored, Refusal> {
        let meta = meta.map_err(|e| failed("the records could not be listed", &e))?;
        let name = meta.location.filename().unwrap_or_default();
        let is_id = name.len() == 32
            && name.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        if !is_id || meta.size > MAX_RECORD as u64 {
            return Ok(Stored::NotARecord(meta.location.to_string()));
        }
        match self.read(&meta.location, MAX_RECORD).await {
            Ok(record) => Ok(Stored::Record(record)),
            Err(error) => {
                tracing::warn!(name, %error, "a record could not be read");
                Ok(Stored::Unreadable)
            }
        }
    }

    async fn create(&self, path: Path, bytes: &[u8], limit: usize) -> Result<(), Refusal> {
        if bytes.is_empty() || bytes.len() > limit {
            return Err(Refusal::new(
                RefusalCode::StoreFailed,
                format!("{} bytes are not what this object can have", bytes.len()),
            ));
        }
        let taken =
            match self.0.put_opts(&path, bytes.to_vec().into(), PutMode::Create.into()).await {
                Ok(_) => false,
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => true,
                Err(error) => return Err(failed("the object could not be written", &error)),
            };
        match self.read(&path, limit).await {
            // Also where the name was taken: by these very bytes, when the store's client wrote
            // twice because the first answer was lost.
            Ok(read) if read == bytes => Ok(()),
            Ok(_) if taken => Err(RefusalCode::StoreConflict.into()),
            Ok(_) => {
                let what = "what was read back is not what was written";
                Err(Refusal::new(RefusalCode::StoreFailed, what))
            }
            Err(error) => Err(failed("the object could not be read back", &error)),
        }
    }

    async fn read(&self, path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
        let found = self.0.get(path).await?;
        if found.meta.size > limit as u64 {
            let source = format!("{} bytes are more than {limit}", found.meta.size).into();
            return Err(Error::Generic { store: "key store", source });
        }
        Ok(found.bytes().await?.to_vec())
    }
}

/// The cause goes to the log; the refusal says only what was tried.
fn failed(what: &str, error: &Error) -> Refusal {
    tracing::error!(%error, "key store: {what}");
    Refusal::new(RefusalCode::StoreFailed, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Source;
    use std::os::unix::fs::PermissionsExt;

    fn open(dir: &std::path::Path) -> Store {
        let provider = Arc::new(Provider::new(Source::Environment {}));
        Store::open(&StoreAddress::Folder(dir.to_owned()), "", None, provider).expect("opens")
    }

    #[test]
    fn addresses_have_two_forms() {
        let check = |text: &str, good: bool| {
            assert_eq!(text.parse::<StoreAddress>().is_ok(), good, "{text}");
        };
        check("file:///var/lib/nitro-signer", true);
        check("s3://bucket", true);
        check("s3://bucket/a/b", true);
        for bad in ["", "/var/lib", "file://relative", "s3://", "s3://B_/x", "http://x"] {
            check(bad, false);
        }
    }

    #[tokio::test]
    async fn an_object_is_created_once() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store");
        let store = open(&path);
        assert_eq!(path.metadata().expect("is there").permissions().mode() & 0o777, 0o700);
        assert_eq!(store.vault().await.expect("reads"), None);
        store.create_vault(b"first").await.expect("is new");
        store.create_vault(b"first").await.expect("is stored already");
        let again = store.create_vault(b"second").await.expect_err("is taken");
        assert_eq!(again.code, RefusalCode::StoreConflict);
        assert_eq!(open(&path).vault().await.expect("reads"), Some(b"first".to_vec()));
    }

    #[tokio::test]
    async fn records_are_listed_and_strays_are_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        for n in 1..=40u8 {
            store.create_record(&FixedBytes::repeat_byte(n), &[n; 9]).await.expect("is new");
        }
        let records = dir.path().join("records");
        std::fs::write(records.join("notes.txt"), "x").expect("writes");
        std::fs::write(records.join("f".repeat(32)), vec![0; MAX_RECORD + 1]).expect("writes");
        let (mut whole, mut strays) = (0, 0);
        let mut listed = store.records();
        while let Some(item) = listed.next().await {
            match item.expect("reads") {
                Stored::Record(record) => whole += usize::from(record.len() == 9),
                Stored::NotARecord(_) | Stored::Unreadable => strays += 1,
            }
        }
        assert_eq!((whole, strays), (40, 2));
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_stops_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let count = 4 * CONCURRENT_READS;
        for n in 0..count {
            let id = FixedBytes::left_padding_from(&n.to_be_bytes());
            store.create_record(&id, b"record").await.expect("is new");
        }
        let mut listed = store.records();
        let mut read = 0;
        let mut unreadable = 0;
        while let Some(item) = listed.next().await {
            match item.expect("goes on") {
                Stored::Record(_) => read += 1,
                Stored::NotARecord(name) => unreachable!("{name} is a record"),
                Stored::Unreadable => unreadable += 1,
            }
            // What was listed and not read yet is gone.
            let _ = std::fs::remove_dir_all(dir.path().join("records"));
        }
        assert_eq!(read + unreadable, count);
        assert!(read > 0 && unreadable > 0, "{read} and {unreadable}");
    }

    #[tokio::test]
    async fn what_is_too_large_is_neither_written_nor_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        assert!(store.create_vault(&vec![0; MAX_VAULT + 1]).await.is_err());
        assert_eq!(store.vault().await.expect("reads"), None);
        std::fs::write(dir.path().join("vault"), vec![0; MAX_VAULT + 1]).expect("writes");
        assert_eq!(store.vault().await.expect_err("is refused").code, RefusalCode::StoreFailed);
    }
}
