//! API keys. A key is 256 random bits, so that its bare SHA-256 says nothing about it; only that is kept.

use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::config::{ApiKey, Auth, Role, Secret};

/// Where an embedded service keeps the hash of the key that it generated, in its data directory.
pub const DEVELOPMENT_KEY_FILE: &str = "development-key.sha256";

/// The keys that are accepted.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<ApiKey>);

impl Keys {
    /// Those of the configuration.
    pub fn from_config(auth: &Auth) -> Self {
        Self(auth.keys.clone())
    }

    /// Accepts one more.
    pub fn accept(&mut self, key: ApiKey) {
        self.0.push(key);
    }

    /// Whether there are none, so that nobody can write.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose key this is and what it allows; `None` if it is nobody's. It is compared with every key, and takes as long
    /// whichever it equals.
    pub fn verify(&self, presented: &str) -> Option<(&str, Role)> {
        let hash = sha256(presented);
        let mut found = u32::MAX;
        for (at, key) in (0..).zip(&self.0) {
            found = u32::conditional_select(&found, &at, key.sha256.ct_eq(&hash));
        }
        self.0.get(found as usize).map(|key| (key.name.as_str(), key.role))
    }
}

/// A key that was just made. Nobody can see it again later.
#[derive(Debug)]
pub struct NewKey(Secret);

impl NewKey {
    /// A random key: `of_` and 43 characters that need no quoting anywhere.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn random() -> Result<Self> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).context("the system gave no random bits")?;
        Ok(Self(Secret::from(format!("of_{}", BASE64_URL_SAFE_NO_PAD.encode(bits)))))
    }

    /// The key itself.
    pub fn plain(&self) -> &str {
        self.0.expose()
    }

    /// What accepts it.
    pub fn accepted_as(&self, name: impl Into<String>, role: Role) -> ApiKey {
        ApiKey { name: name.into(), role, sha256: sha256(self.plain()) }
    }
}

/// What lets people write to an embedded service that has no keys in its configuration.
#[derive(Debug)]
pub struct DevelopmentKey {
    /// What accepts the key.
    pub accepted: ApiKey,
    /// The key, if it was made just now.
    pub new: Option<NewKey>,
}

/// The key that such a service generates when it first starts on this data directory, which allows everything. Later starts
/// know its hash only: whoever lost the key deletes [`DEVELOPMENT_KEY_FILE`], and the next start makes another.
///
/// # Errors
/// If the directory cannot be written to, or the file holds something else.
pub fn development_key(data_dir: &Path) -> Result<DevelopmentKey> {
    let path = data_dir.join(DEVELOPMENT_KEY_FILE);
    let name = "development";
    let stored = || -> Result<Option<ApiKey>> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        match from_hex(text.trim_end()) {
            Some(sha256) => Ok(Some(ApiKey { name: name.to_owned(), role: Role::Admin, sha256 })),
            None => bail!("{} holds no SHA-256; delete it, and the next start makes a new key", path.display()),
        }
    };
    if let Some(accepted) = stored()? {
        return Ok(DevelopmentKey { accepted, new: None });
    }
    let key = NewKey::random()?;
    let accepted = key.accepted_as(name, Role::Admin);
    let written = store(data_dir, &path, &accepted.sha256)
        .with_context(|| format!("cannot keep the hash of a new key in {}", path.display()))?;
    match stored()? {
        // Another process may have been first.
        Some(accepted) if !written => Ok(DevelopmentKey { accepted, new: None }),
        _ => Ok(DevelopmentKey { accepted, new: Some(key) }),
    }
}

/// Writes the hash, whole or not at all. False if the file is there already.
fn store(data_dir: &Path, path: &Path, sha256: &[u8]) -> std::io::Result<bool> {
    fs::create_dir_all(data_dir)?;
    let draft = data_dir.join(format!("{DEVELOPMENT_KEY_FILE}.{}-{}", std::process::id(), fastrand::u64(..)));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", hex(sha256))?;
        file.sync_all()?;
        // Unlike a rename, a link never replaces what another process wrote meanwhile.
        match fs::hard_link(&draft, path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    };
    let written = write();
    let _ = fs::remove_file(&draft);
    written
}

fn sha256(key: &str) -> [u8; 32] {
    Sha256::digest(key).into()
}

/// Lower-case hexadecimal digits, as the configuration takes them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The 32 bytes that 64 hexadecimal digits stand for.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_found_by_its_hash_alone() {
        let made: Vec<_> = (0..3).map(|_| NewKey::random().unwrap()).collect();
        let mut keys = Keys::default();
        assert!(keys.is_empty() && keys.verify(made[0].plain()).is_none());
        keys.accept(made[0].accepted_as("shop", Role::Writer));
        keys.accept(made[1].accepted_as("office", Role::Admin));
        assert_eq!(keys.verify(made[0].plain()), Some(("shop", Role::Writer)));
        assert_eq!(keys.verify(made[1].plain()), Some(("office", Role::Admin)));
        let hash = hex(&made[0].accepted_as("", Role::Writer).sha256);
        for wrong in ["", made[2].plain(), &hash, &made[0].plain().to_uppercase(), &made[0].plain()[..45]] {
            assert_eq!(keys.verify(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_key_is_long_plain_and_not_in_debug() {
        let key = NewKey::random().unwrap();
        assert_eq!(key.plain().len(), 46);
        assert!(key.plain().starts_with("of_"));
        assert!(key.plain().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
        assert!(!format!("{key:?}").contains(&key.plain()[3..]));
        assert_eq!(
            hex(&sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "FIPS 180-2, B.1"
        );
    }

    #[test]
    fn a_development_key_is_shown_once_and_replaced_when_its_file_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("not/there/yet");
        let first = development_key(&data).unwrap();
        let plain = first.new.unwrap();
        let file = data.join(DEVELOPMENT_KEY_FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&file).unwrap().contains(plain.plain()), "the key itself is kept nowhere");
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no draft is left");

        let second = development_key(&data).unwrap();
        assert!(second.new.is_none());
        let mut keys = Keys::default();
        keys.accept(second.accepted);
        assert_eq!(keys.verify(plain.plain()), Some(("development", Role::Admin)));

        fs::remove_file(&file).unwrap();
        let third = development_key(&data).unwrap();
        assert_ne!(third.new.unwrap().plain(), plain.plain());
    }

    #[test]
    fn processes_that_start_together_agree_on_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let made: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| development_key(dir.path()).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert_eq!(made.iter().filter(|key| key.new.is_some()).count(), 1);
        assert!(made.iter().all(|key| key.accepted.sha256 == made[0].accepted.sha256));
    }

    #[test]
    fn a_file_that_holds_no_hash_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(DEVELOPMENT_KEY_FILE), "").unwrap();
        let error = format!("{:#}", development_key(dir.path()).unwrap_err());
        assert!(error.contains(DEVELOPMENT_KEY_FILE) && error.contains("delete it"), "{error}");
    }
}
