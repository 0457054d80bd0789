//! Is the enclave that nitro-cli shows the one that was meant? The host's word against our list.
//!
//! This finds mistakes of operation: a debug flag, a forgotten old image, a dead enclave. It proves
//! nothing, since the host could say anything; `attestation verify` does.

use super::image::{entry, is_image};
use super::nitro_cli::{Described, EnclaveName, NitroCli, NitroCliError};
use crate::cli::check::{Checks, Fault};
use nitro_signer_shared::attestation::{ImageMeasurements, MeasurementSet};
use serde_json::json;

/// Ends whatever is said of an enclave by nitro-cli.
pub(super) const HOSTS_WORD: &str = "This is the host's word, for operations. What runs is proved by \
     `nitro-signer attestation verify` alone.";

const RUNNING: &str = "RUNNING";
/// The flags of an enclave that is not in debug mode.
const NO_FLAGS: &str = "NONE";
const DEBUG_MODE: &str = "DEBUG_MODE";

/// Which enclave is meant.
pub(in crate::cli) struct Meant<'a> {
    pub(in crate::cli) name: &'a EnclaveName,
    /// Any, if none was asked for.
    pub(in crate::cli) cid: Option<u32>,
    /// Any of these; nothing is compared if there is no list.
    pub(in crate::cli) images: Option<&'a [ImageMeasurements]>,
}

/// What was found.
#[derive(Debug)]
pub(in crate::cli) struct Health {
    pub(in crate::cli) checks: Checks,
    /// Whether nitro-cli says that it is in debug mode.
    pub(in crate::cli) debug: bool,
    pub(super) enclave: Option<Described>,
}

impl Health {
    /// Whether nothing is wrong.
    pub(in crate::cli) fn is_good(&self) -> bool {
        self.checks.none_failed()
    }

    /// 0, 6 in debug mode, 1 for anything else.
    pub(super) fn exit(&self) -> u8 {
        match (self.is_good(), self.debug) {
            (true, _) => 0,
            (false, true) => 6,
            (false, false) => 1,
        }
    }
}

impl Meant<'_> {
    /// Asks nitro-cli and compares.
    pub(in crate::cli) async fn look(&self, cli: &NitroCli) -> Result<Health, NitroCliError> {
        Ok(self.judge(cli.describe().await?))
    }

    fn judge(&self, listed: Vec<Described>) -> Health {
        let mut checks = Checks::default();
        let Some(enclave) = listed.into_iter().find(|enclave| enclave.is_named(self.name)) else {
            let how = format!("nitro-cli lists no enclave {}", self.name);
            let fault = Fault::new(
                how,
                "Start it; it may have ended by itself (E-codes in /var/log/nitro_enclaves).",
            );
            checks.note::<()>("running", Err(fault));
            for id in ["flags", "cid", "measurements"] {
                checks.skip(id, "there is no enclave");
            }
            return Health { checks, debug: false, enclave: None };
        };
        let debug = enclave.flags.contains(DEBUG_MODE);
        checks.note("running", running(&enclave));
        checks.note("flags", flags(&enclave));
        match self.cid {
            Some(cid) => drop(checks.note("cid", has_cid(&enclave, cid))),
            None => {
                checks.skip("cid", format!("none was asked for; it is {}", enclave.enclave_cid))
            }
        }
        match self.images {
            Some(images) => drop(checks.note("measurements", is_listed(&enclave, images))),
            None => checks.skip("measurements", "no measurements file was named"),
        }
        Health { checks, debug, enclave: Some(enclave) }
    }
}

type Found = Result<((), String), Fault>;

fn running(enclave: &Described) -> Found {
    if enclave.state == RUNNING {
        return Ok(((), format!("{} is {RUNNING}", enclave.enclave_id)));
    }
    let how = format!("its state is {:?}", enclave.state);
    Err(Fault::new(how, "Stop it by `nitro-signer enclave stop` and start it again."))
}

fn flags(enclave: &Described) -> Found {
    if enclave.flags == NO_FLAGS {
        return Ok(((), "not in debug mode".to_owned()));
    }
    let how = format!("its flags are {:?}", enclave.flags);
    let remedy = "Stop it and find out who started it: the host reads a debug enclave's memory, and \
                  KMS gives it nothing.";
    Err(Fault::new(how, remedy))
}

fn has_cid(enclave: &Described, cid: u32) -> Found {
    if enclave.enclave_cid == u64::from(cid) {
        return Ok(((), cid.to_string()));
    }
    let how = format!("its CID is {}, not {cid}", enclave.enclave_cid);
    Err(Fault::new(
        how,
        "Stop it and start it again with --cid; the parent's `enclave` names the same.",
    ))
}

fn is_listed(enclave: &Described, images: &[ImageMeasurements]) -> Found {
    let Some(measurements) = &enclave.measurements else {
        let remedy = "Update aws-nitro-enclaves-cli: 1.2 and later print them.";
        return Err(Fault::new("nitro-cli prints no measurements", remedy));
    };
    let text = json!({ "Measurements": measurements }).to_string();
    let seen = MeasurementSet::from_json(text.as_bytes()).map_err(|e| {
        Fault::new(e.to_string(), "Stop the enclave, and start it from the image that you listed.")
    })?;
    match images.iter().find(|image| is_image(&image.set, &seen)) {
        Some(image) => Ok(((), format!("those of {} of the list", entry(image)))),
        None => Err(Fault::new(
            format!("another image runs: PCR0 {}", hex::encode(seen.pcrs()[&0])),
            "Stop it and find out who started it.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn name() -> EnclaveName {
        "signer".parse().expect("is a name")
    }

    fn described() -> Value {
        let set = MeasurementSet::new([1; 48], [2; 48], [3; 48]).expect("not zero");
        let measurements: Value = serde_json::from_str(&set.to_json()).expect("is JSON");
        json!({
            "EnclaveName": "signer", "EnclaveID": "i-1-enc2", "ProcessID": 3, "EnclaveCID": 16,
            "NumberOfCPUs": 2, "CPUIDs": [1, 3], "MemoryMiB": 256, "State": "RUNNING",
            "Flags": "NONE", "Measurements": measurements["Measurements"],
        })
    }

    fn judge(described: Value) -> Health {
        let images = [ImageMeasurements::from(
            MeasurementSet::new([1; 48], [2; 48], [3; 48]).expect("not zero"),
        )];
        let listed = serde_json::from_value(json!([described])).expect("is nitro-cli's form");
        Meant { name: &name(), cid: Some(16), images: Some(&images) }.judge(listed)
    }

    #[test]
    fn each_thing_that_is_not_as_meant_is_found() {
        assert_eq!(judge(described()).exit(), 0);
        let check = |key: &str, value: Value, failed: &str, exit: u8| {
            let mut other = described();
            other[key] = value;
            let health = judge(other);
            assert_eq!(health.checks.first_failed(), Some(failed), "{key}");
            assert_eq!(health.exit(), exit, "{key}");
        };
        check("EnclaveName", json!("signer_1"), "running", 1);
        check("EnclaveName", Value::Null, "running", 1);
        check("State", json!("TERMINATING"), "running", 1);
        check("Flags", json!("DEBUG_MODE"), "flags", 6);
        check("Flags", json!("DEBUG_MODE | NEW"), "flags", 6);
        check("Flags", json!("NEW"), "flags", 1);
        check("EnclaveCID", json!(17), "cid", 1);
        check("Measurements", Value::Null, "measurements", 1);
        check("Measurements", json!({}), "measurements", 1);
        let mut wrong = described()["Measurements"].clone();
        wrong["PCR1"] = json!("09".repeat(48));
        check("Measurements", wrong, "measurements", 1);
        let mut zeros = described()["Measurements"].clone();
        zeros["PCR0"] = json!("00".repeat(48));
        check("Measurements", zeros, "measurements", 1);
    }
}
