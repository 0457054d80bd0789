# The policy, document by document: what the module writes against what was written by hand from the
# form that enclave and linter read. Nothing is applied.

mock_provider "aws" {}

variables {
  deployment      = "treasury"
  vault           = "main"
  administrators  = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  appliance_roles = ["arn:aws:iam::111122223333:role/nitro-signer"]
}

run "a_key_without_sets_is_closed" {
  command = plan

  assert {
    condition     = jsondecode(output.policy) == jsondecode(file("tests/expected/closed.json"))
    error_message = "the closed key's policy is ${output.policy}"
  }

  assert {
    condition     = aws_kms_key.this[0].policy == output.policy
    error_message = "the key is made with another policy than the output says"
  }

  assert {
    condition     = !aws_kms_key.this[0].bypass_policy_lockout_safety_check && aws_kms_key.this[0].enable_key_rotation && aws_kms_key.this[0].rotation_period_in_days == 365 && aws_kms_key.this[0].deletion_window_in_days == 30 && !aws_kms_key.this[0].multi_region
    error_message = "a default of the key is another one"
  }

  assert {
    condition     = aws_kms_alias.this.name == "alias/nitro-signer/treasury/main"
    error_message = "the alias is ${aws_kms_alias.this.name}"
  }

  assert {
    condition     = length(aws_kms_external_key.this) == 0
    error_message = "a key with imported material was planned"
  }
}

run "closed_stays_closed_while_a_vault_may_be_made" {
  command = plan

  variables {
    vault_creation = true
  }

  assert {
    condition     = jsondecode(output.policy) == jsondecode(file("tests/expected/closed.json"))
    error_message = "vault_creation opened a key without sets: ${output.policy}"
  }
}

run "one_set" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  assert {
    condition     = jsondecode(output.policy) == jsondecode(file("tests/expected/one-set.json"))
    error_message = "one set's policy is ${output.policy}"
  }
}

run "two_sets_and_every_kind_of_principal" {
  command = plan

  variables {
    administrators = ["arn:aws:iam::111122223333:user/ada", "arn:aws:iam::111122223333:role/KeyAdministrator"]
    break_glass    = ["arn:aws:iam::111122223333:role/BreakGlass"]
    auditors       = ["arn:aws:iam::444455556666:role/Auditor"]
    appliance_roles = [
      "arn:aws:iam::111122223333:role/nitro-signer-standby",
      "arn:aws:iam::111122223333:role/nitro-signer",
    ]
    vault_creation = true
    measurement_sets = [
      {
        pcr0  = join("", [for i in range(48) : "4d"])
        pcr16 = join("", [for i in range(48) : "2b"])
        pcr3  = join("", [for i in range(48) : "5e"])
        pcr8  = join("", [for i in range(48) : "3c"])
      },
      {
        pcr0  = join("", [for i in range(48) : "1a"])
        pcr16 = join("", [for i in range(48) : "0f"])
        pcr3  = join("", [for i in range(48) : "5e"])
        pcr8  = join("", [for i in range(48) : "1a"])
      },
    ]
  }

  assert {
    condition     = jsondecode(output.policy) == jsondecode(file("tests/expected/two-sets.json"))
    error_message = "two sets' policy is ${output.policy}"
  }
}

run "multi_region" {
  command = plan

  variables {
    multi_region     = true
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  assert {
    condition     = jsondecode(output.policy) == jsondecode(file("tests/expected/multi-region.json"))
    error_message = "the multi-region key's policy is ${output.policy}"
  }

  assert {
    condition     = aws_kms_key.this[0].multi_region
    error_message = "the key is not made for several regions"
  }
}

run "imported_material" {
  command = plan

  variables {
    imported_material = true
    measurement_sets  = [{ pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  assert {
    condition     = jsondecode(output.policy) == jsondecode(file("tests/expected/imported-material.json"))
    error_message = "the imported key's policy is ${output.policy}"
  }

  assert {
    condition     = length(aws_kms_key.this) == 0 && aws_kms_external_key.this[0].policy == output.policy && aws_kms_external_key.this[0].key_material_base64 == null
    error_message = "the key with imported material is another one, or carries its material"
  }
}

run "sets_from_measurement_files" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "4d"]), pcr16 = join("", [for i in range(48) : "2b"]), pcr8 = join("", [for i in range(48) : "5e"]) }]
    images = [
      { measurements = file("tests/measurements/two-images.json"), version = "0.2.0", pcr16 = join("", [for i in range(48) : "2b"]) },
      { measurements = file("tests/measurements/two-images.json"), index = 0, pcr16 = join("", [for i in range(48) : "3c"]) },
      { measurements = file("tests/measurements/nitro-cli.json"), pcr16 = join("", [for i in range(48) : "3c"]) },
    ]
  }

  assert {
    condition = output.measurement_sets == [
      { PCR0 = join("", [for i in range(48) : "4d"]), PCR16 = join("", [for i in range(48) : "2b"]), PCR8 = join("", [for i in range(48) : "5e"]) },
      { PCR0 = join("", [for i in range(48) : "b2"]), PCR16 = join("", [for i in range(48) : "2b"]), PCR8 = join("", [for i in range(48) : "88"]) },
      { PCR0 = join("", [for i in range(48) : "a1"]), PCR16 = join("", [for i in range(48) : "3c"]), PCR8 = join("", [for i in range(48) : "88"]) },
      { PCR0 = join("", [for i in range(48) : "c3"]), PCR16 = join("", [for i in range(48) : "3c"]), PCR8 = join("", [for i in range(48) : "99"]) },
    ]
    error_message = "the sets are ${jsonencode(output.measurement_sets)}"
  }
}
