# What a replica refuses, and that its policy is the primary's text.

mock_provider "aws" {}

variables {
  primary_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
  policy          = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  alias           = "alias/nitro-signer/treasury/main"
}

run "the_same_policy" {
  command = plan

  assert {
    condition     = aws_kms_replica_key.this[0].policy == var.policy && aws_kms_replica_key.this[0].primary_key_arn == var.primary_key_arn && !aws_kms_replica_key.this[0].bypass_policy_lockout_safety_check && aws_kms_replica_key.this[0].deletion_window_in_days == 30
    error_message = "the replica is another one"
  }
}

run "of_imported_material" {
  command = plan

  variables {
    imported_material = true
  }

  assert {
    condition     = length(aws_kms_replica_key.this) == 0 && aws_kms_replica_external_key.this[0].policy == var.policy && aws_kms_replica_external_key.this[0].key_material_base64 == null
    error_message = "the replica of imported material is another one, or carries its material"
  }
}

run "a_primary_of_one_region" {
  command = plan

  variables {
    primary_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [var.primary_key_arn]
}

run "a_policy_that_is_none" {
  command = plan

  variables {
    policy = "{}"
  }

  expect_failures = [var.policy]
}

run "an_alias_without_its_prefix" {
  command = plan

  variables {
    alias = "nitro-signer/treasury/main"
  }

  expect_failures = [var.alias]
}

run "a_short_window" {
  command = plan

  variables {
    deletion_window_in_days = 6
  }

  expect_failures = [var.deletion_window_in_days]
}
