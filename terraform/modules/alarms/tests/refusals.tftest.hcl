# Every validation refuses what it is there for, one case each. Nothing is applied.

# Computed values are known at plan, so that the policies made of them can be read. (Terraform 1.11.)
mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:111122223333:key/99999999-12ab-34cd-56ef-1234567890ab"
      key_id = "99999999-12ab-34cd-56ef-1234567890ab"
    }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-central-1:111122223333:nitro-signer-alarms" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::treasury-trail", id = "treasury-trail" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/nitro-signer/nitro-signer/trail" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/nitro-signer-trail", id = "nitro-signer-trail" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
}

variables {
  key_arns           = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  manifest_hashes    = [join("", [for i in range(48) : "5e"])]
  image_digests      = [join("", [for i in range(16) : "0007ff"])]
  administrators     = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  watched_principals = { KeyAdministrator = "arn:aws:iam::111122223333:role/KeyAdministrator" }
  trail_bucket       = "treasury-trail"
  metrics            = { namespace = "NitroSigner", deployment = "treasury", vault = "main" }
}

run "a_name_in_upper_case" {
  command = plan

  variables {
    name = "Signer"
  }

  expect_failures = [var.name]
}

run "no_key" {
  command = plan

  variables {
    key_arns = []
  }

  expect_failures = [var.key_arns]
}

run "an_alias" {
  command = plan

  variables {
    key_arns = ["arn:aws:kms:eu-central-1:111122223333:alias/vault"]
  }

  expect_failures = [var.key_arns]
}

run "keys_of_two_accounts" {
  command = plan

  variables {
    key_arns = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  }

  expect_failures = [var.key_arns]
}

run "more_keys_than_filters" {
  command = plan

  variables {
    key_arns = [for i in range(6) : format("arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-%012d", i)]
  }

  expect_failures = [var.key_arns]
}

run "a_manifest_hash_in_upper_case" {
  command = plan

  variables {
    manifest_hashes = [join("", [for i in range(48) : "5E"])]
  }

  expect_failures = [var.manifest_hashes]
}

run "five_manifests" {
  command = plan

  variables {
    manifest_hashes = [for i in range(5) : format("%096x", i)]
  }

  expect_failures = [var.manifest_hashes]
}

run "a_short_digest" {
  command = plan

  variables {
    image_digests = ["5e"]
  }

  expect_failures = [var.image_digests]
}

run "a_digest_of_zeros" {
  command = plan

  variables {
    image_digests = [join("", [for i in range(48) : "00"])]
  }

  expect_failures = [var.image_digests]
}

run "five_images" {
  command = plan

  variables {
    image_digests = [for i in range(5) : format("%096x", i + 1)]
  }

  expect_failures = [var.image_digests]
}

run "no_administrator" {
  command = plan

  variables {
    administrators = []
  }

  expect_failures = [var.administrators]
}

run "the_root_as_administrator" {
  command = plan

  variables {
    administrators = ["arn:aws:iam::111122223333:root"]
  }

  expect_failures = [var.administrators]
}

run "nobody_watched" {
  command = plan

  variables {
    watched_principals = {}
  }

  expect_failures = [var.watched_principals]
}

run "a_watched_wildcard" {
  command = plan

  variables {
    watched_principals = { all = "arn:aws:iam::111122223333:role/*" }
  }

  expect_failures = [var.watched_principals]
}

run "no_address" {
  command = plan

  variables {
    emails = ["operations"]
  }

  expect_failures = [var.emails]
}

run "no_trail" {
  command = plan

  variables {
    trail_bucket = null
  }

  expect_failures = [var.trail_bucket]
}

run "two_trails" {
  command = plan

  variables {
    existing_trail_log_group = "organization/trail"
  }

  expect_failures = [var.trail_bucket]
}

run "a_bucket_with_a_dot" {
  command = plan

  variables {
    trail_bucket = "treasury.trail"
  }

  expect_failures = [var.trail_bucket]
}

run "a_log_group_by_its_arn" {
  command = plan

  variables {
    trail_bucket             = null
    existing_trail_log_group = "arn:aws:logs:eu-central-1:111122223333:log-group:trail"
  }

  expect_failures = [var.existing_trail_log_group]
}

run "a_bucket_by_its_name" {
  command = plan

  variables {
    data_event_buckets = ["treasury-store"]
  }

  expect_failures = [var.data_event_buckets]
}

run "a_threshold_below_0" {
  command = plan

  variables {
    thresholds = { refusals = -1 }
  }

  expect_failures = [var.thresholds]
}

run "a_certificate_of_no_days" {
  command = plan

  variables {
    thresholds = { certificate_days = 0 }
  }

  expect_failures = [var.thresholds]
}

run "logs_for_a_day" {
  command = plan

  variables {
    log_retention_in_days = 1
  }

  expect_failures = [var.log_retention_in_days]
}
