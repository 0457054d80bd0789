# Every validation refuses what it is there for, one case each. Nothing is applied.

# Computed values are known at plan, so that the policies made of them can be read. (Terraform 1.11.)
mock_provider "aws" {
  override_during = plan

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/nitro-signer", id = "nitro-signer" }
  }

  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::111122223333:instance-profile/nitro-signer" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::treasury-store", id = "treasury-store" }
  }

  mock_resource "aws_kms_key" {
    defaults = {
      arn    = "arn:aws:kms:eu-central-1:111122223333:key/99999999-12ab-34cd-56ef-1234567890ab"
      key_id = "99999999-12ab-34cd-56ef-1234567890ab"
    }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:111122223333:log-group:/nitro-signer/treasury/main/metrics" }
  }

  mock_resource "aws_vpc_endpoint" {
    defaults = { prefix_list_id = "pl-11111111" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-99999999" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
}

variables {
  deployment      = "treasury"
  vault           = "main"
  administrators  = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  vault_key_arns  = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
  vpc_id          = "vpc-11111111"
  subnet_ids      = ["subnet-11111111", "subnet-22222222"]
  route_table_ids = ["rtb-11111111"]
  clients         = { backend = "sg-11111111" }
  bucket          = "treasury-store"
  ami_id          = "ami-11111111"

  release = {
    bucket = "treasury-releases"
    files = {
      nitro_signer       = { key = "0.1.0/nitro-signer", sha256 = join("", [for i in range(32) : "11"]) }
      enclave_eif        = { key = "0.1.0/enclave.eif", sha256 = join("", [for i in range(32) : "22"]) }
      measurements       = { key = "0.1.0/measurements.json", sha256 = join("", [for i in range(32) : "33"]) }
      manifest           = { key = "0.1.0/manifest.cbor", sha256 = join("", [for i in range(32) : "44"]) }
      server_certificate = { key = "tls/server.pem", sha256 = join("", [for i in range(32) : "55"]) }
      server_key         = { key = "tls/server.key", sha256 = join("", [for i in range(32) : "66"]) }
      client_ca          = { key = "tls/clients.pem", sha256 = join("", [for i in range(32) : "77"]) }
    }
  }
}

run "a_name_in_upper_case" {
  command = plan

  variables {
    name = "Signer"
  }

  expect_failures = [var.name]
}

run "a_deployment_with_a_slash" {
  command = plan

  variables {
    deployment = "a/b"
  }

  expect_failures = [var.deployment]
}

run "a_vault_in_upper_case" {
  command = plan

  variables {
    vault = "Main"
  }

  expect_failures = [var.vault]
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

run "no_vault_key" {
  command = plan

  variables {
    vault_key_arns = []
  }

  expect_failures = [var.vault_key_arns]
}

run "every_key" {
  command = plan

  variables {
    vault_key_arns = ["*"]
  }

  expect_failures = [var.vault_key_arns]
}

run "an_alias" {
  command = plan

  variables {
    vault_key_arns = ["arn:aws:kms:eu-central-1:111122223333:alias/vault"]
  }

  expect_failures = [var.vault_key_arns]
}

run "no_vpc" {
  command = plan

  variables {
    vpc_id = "subnet-11111111"
  }

  expect_failures = [var.vpc_id]
}

run "no_subnet" {
  command = plan

  variables {
    subnet_ids = []
  }

  expect_failures = [var.subnet_ids]
}

run "a_vpc_as_subnet" {
  command = plan

  variables {
    subnet_ids = ["vpc-11111111"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_subnet_as_route_table" {
  command = plan

  variables {
    route_table_ids = ["subnet-11111111"]
  }

  expect_failures = [var.route_table_ids]
}

run "clients_by_address" {
  command = plan

  variables {
    clients = { all = "0.0.0.0/0" }
  }

  expect_failures = [var.clients]
}

run "monitors_by_address" {
  command = plan

  variables {
    monitors = { all = "10.0.0.0/8" }
  }

  expect_failures = [var.monitors]
}

run "a_bucket_with_a_dot" {
  command = plan

  variables {
    bucket = "treasury.store"
  }

  expect_failures = [var.bucket]
}

run "a_moving_image" {
  command = plan

  variables {
    ami_id = "resolve:ssm:/aws/service/ami-amazon-linux-latest"
  }

  expect_failures = [var.ami_id]
}

run "an_instance_with_two_vcpus" {
  command = plan

  variables {
    instance_type = "m6i.large"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_bare_metal" {
  command = plan

  variables {
    instance_type = "m6i.metal"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_bare_metal_of_a_size" {
  command = plan

  variables {
    instance_type = "m7i.metal-24xl"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_burstable" {
  command = plan

  variables {
    instance_type = "t3.xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_burstable_amd" {
  command = plan

  variables {
    instance_type = "t3a.2xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_flex" {
  command = plan

  variables {
    instance_type = "m7i-flex.xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_graviton" {
  command = plan

  variables {
    instance_type = "m7g.xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_graviton_with_network" {
  command = plan

  variables {
    instance_type = "c6gn.4xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_first_graviton" {
  command = plan

  variables {
    instance_type = "a1.xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_high_memory" {
  command = plan

  variables {
    instance_type = "u-6tb1.56xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_video" {
  command = plan

  variables {
    instance_type = "vt1.3xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_instance_with_training" {
  command = plan

  variables {
    instance_type = "trn1.2xlarge"
  }

  expect_failures = [var.instance_type]
}

run "an_enclave_with_little_memory" {
  command = plan

  variables {
    enclave = { memory_mib = 128 }
  }

  expect_failures = [var.enclave]
}

run "an_enclave_with_odd_memory" {
  command = plan

  variables {
    enclave = { memory_mib = 257 }
  }

  expect_failures = [var.enclave]
}

run "an_enclave_with_half_a_core" {
  command = plan

  variables {
    enclave = { cpu_count = 1 }
  }

  expect_failures = [var.enclave]
}

run "chain_0" {
  command = plan

  variables {
    chain_id = 0
  }

  expect_failures = [var.chain_id]
}

run "a_broken_chain" {
  command = plan

  variables {
    chain_id = 1.5
  }

  expect_failures = [var.chain_id]
}

run "a_small_volume" {
  command = plan

  variables {
    root_volume_gib = 4
  }

  expect_failures = [var.root_volume_gib]
}

run "logs_for_a_day" {
  command = plan

  variables {
    log_retention_in_days = 1
  }

  expect_failures = [var.log_retention_in_days]
}

run "a_file_without_a_hash" {
  command = plan

  variables {
    release = { bucket = "treasury-releases", files = { for name in ["nitro_signer", "enclave_eif", "measurements", "manifest", "server_certificate", "server_key", "client_ca"] : name => { key = "0.1.0/nitro-signer", sha256 = "" } } }
  }

  expect_failures = [var.release]
}

run "a_hash_in_upper_case" {
  command = plan

  variables {
    release = { bucket = "treasury-releases", files = { for name in ["nitro_signer", "enclave_eif", "measurements", "manifest", "server_certificate", "server_key", "client_ca"] : name => { key = "0.1.0/nitro-signer", sha256 = join("", [for i in range(32) : "AA"]) } } }
  }

  expect_failures = [var.release]
}

run "a_key_that_is_shell" {
  command = plan

  variables {
    release = { bucket = "treasury-releases", files = { for name in ["nitro_signer", "enclave_eif", "measurements", "manifest", "server_certificate", "server_key", "client_ca"] : name => { key = "a'; reboot; '", sha256 = join("", [for i in range(32) : "11"]) } } }
  }

  expect_failures = [var.release]
}

run "a_bucket_that_is_shell" {
  command = plan

  variables {
    release = { bucket = "a'; reboot; 'b", files = { for name in ["nitro_signer", "enclave_eif", "measurements", "manifest", "server_certificate", "server_key", "client_ca"] : name => { key = "0.1.0/nitro-signer", sha256 = join("", [for i in range(32) : "11"]) } } }
  }

  expect_failures = [var.release]
}

run "a_release_in_the_store" {
  command = plan

  variables {
    release = { bucket = "treasury-store", files = { for name in ["nitro_signer", "enclave_eif", "measurements", "manifest", "server_certificate", "server_key", "client_ca"] : name => { key = "0.1.0/nitro-signer", sha256 = join("", [for i in range(32) : "11"]) } } }
  }

  expect_failures = [var.release]
}

run "types_that_can_run_enclaves" {
  command = plan

  variables {
    instance_type = "c6i.xlarge"
  }

  assert {
    condition     = aws_launch_template.this[0].instance_type == "c6i.xlarge"
    error_message = "another type is launched"
  }
}

run "a_type_with_accelerators_beside" {
  command = plan

  variables {
    instance_type = "g4dn.2xlarge"
  }

  assert {
    condition     = aws_launch_template.this[0].instance_type == "g4dn.2xlarge"
    error_message = "another type is launched"
  }
}

run "keys_that_make_the_user_data_too_long" {
  command = plan

  variables {
    release    = { bucket = "treasury-releases", files = { for name in ["nitro_signer", "enclave_eif", "measurements", "manifest", "server_certificate", "server_key", "client_ca"] : name => { key = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", sha256 = join("", [for i in range(32) : "11"]) } } }
    deployment = join("", [for i in range(64) : "a"])
    vault      = join("", [for i in range(64) : "a"])
  }

  expect_failures = [aws_launch_template.this]
}
