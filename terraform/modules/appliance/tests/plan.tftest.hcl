# What is planned: the host's shape, who reaches it and what it reaches. Nothing is applied.

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

run "the_host" {
  command = plan

  assert {
    condition     = aws_launch_template.this[0].enclave_options[0].enabled
    error_message = "the host cannot run an enclave"
  }

  assert {
    condition     = aws_launch_template.this[0].metadata_options[0].http_tokens == "required" && aws_launch_template.this[0].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "instance metadata is open to version 1 or to a second hop"
  }

  assert {
    condition     = tostring(aws_launch_template.this[0].network_interfaces[0].associate_public_ip_address) == "false"
    error_message = "the host gets a public address"
  }

  assert {
    condition     = tolist(aws_launch_template.this[0].network_interfaces[0].security_groups) == tolist(["sg-99999999"])
    error_message = "the host has other security groups"
  }

  assert {
    condition     = alltrue([for disk in aws_launch_template.this[0].block_device_mappings : tostring(disk.ebs[0].encrypted) == "true"]) && length(aws_launch_template.this[0].block_device_mappings) == 1
    error_message = "a volume is not encrypted"
  }

  assert {
    condition     = aws_launch_template.this[0].instance_type == "m6i.xlarge" && aws_launch_template.this[0].image_id == "ami-11111111"
    error_message = "the host is of another type or image"
  }

  assert {
    condition     = aws_launch_template.this[0].key_name == null
    error_message = "somebody can log in with an SSH key"
  }

  assert {
    condition     = length(aws_launch_template.this[0].user_data) < 22000 && aws_launch_template.this[0].user_data == base64encode(local.user_data)
    error_message = "the user data is too long"
  }
}

run "the_user_data" {
  command = plan

  variables {
    enclave  = { memory_mib = 1024, cpu_count = 4 }
    chain_id = 1
  }

  assert {
    condition     = strcontains(local.user_data, "--memory 1024 --cpus 4 --cid 16") && !strcontains(local.user_data, "--memory 256")
    error_message = "the unit gives the enclave something else"
  }

  assert {
    condition     = yamldecode(local.allocator) == { memory_mib = 1024, cpu_count = 4 }
    error_message = "the allocator reserves something else"
  }

  assert {
    condition     = strcontains(local.user_data, "store = \"s3://treasury-store/treasury/main\"\nstore_region = \"eu-central-1\"\nchain_id = 1\n")
    error_message = "parent.toml has another store"
  }

  assert {
    condition     = strcontains(local.user_data, "ops_listen = \"127.0.0.1:9464\"")
    error_message = "the operations port is not bound to loopback though nobody may reach it"
  }

  assert {
    condition     = alltrue([for name, file in var.release.files : strcontains(local.user_data, "\nfetch ${name} '${file.key}' ${file.sha256}\n")])
    error_message = "a file of the release is not checked"
  }

  assert {
    condition     = strcontains(local.user_data, file("../../../parent/deploy/nitro-signer.service")) && strcontains(local.user_data, file("../../../parent/deploy/sysusers.conf"))
    error_message = "a unit is not the one of parent/deploy"
  }

  assert {
    condition     = strcontains(local.user_data, "systemctl enable nitro-enclaves-allocator.service") && strcontains(local.user_data, "systemctl enable --now nitro-signer-enclave.service nitro-signer.service")
    error_message = "a unit does not start again with the host"
  }

  assert {
    condition     = strcontains(local.unit, "Restart=always") && strcontains(file("../../../parent/deploy/nitro-signer.service"), "Restart=always")
    error_message = "a unit is not restarted"
  }

  assert {
    condition     = jsondecode(local.prometheus).scrape_configs[0].static_configs[0].targets == ["127.0.0.1:9464"]
    error_message = "the agent asks another port"
  }
}

run "monitors_open_the_operations_port" {
  command = plan

  variables {
    monitors = { prometheus = "sg-22222222" }
  }

  assert {
    condition     = strcontains(local.user_data, "ops_listen = \"0.0.0.0:9464\"")
    error_message = "the operations port stays on loopback"
  }

  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.monitors : name => "${rule.referenced_security_group_id} ${rule.from_port}-${rule.to_port}" } == { prometheus = "sg-22222222 9464-9464" }
    error_message = "the operations port is open to somebody else"
  }
}

run "the_network" {
  command = plan

  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.clients : name => "${rule.referenced_security_group_id} ${rule.from_port}-${rule.to_port}" } == { backend = "sg-11111111 8443-8443" }
    error_message = "the HTTPS port is open to somebody else"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.monitors) == 0
    error_message = "the operations port is open though nobody is named"
  }

  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_ingress_rule.clients), [aws_vpc_security_group_egress_rule.endpoints, aws_vpc_security_group_egress_rule.s3, aws_vpc_security_group_ingress_rule.endpoints[0]]) : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null])
    error_message = "a rule names addresses"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.endpoints.from_port == 443 && aws_vpc_security_group_egress_rule.endpoints.to_port == 443 && aws_vpc_security_group_egress_rule.s3.prefix_list_id == "pl-11111111"
    error_message = "the hosts reach something else"
  }

  assert {
    condition     = length(aws_security_group.hosts.ingress) == 0 && length(aws_security_group.hosts.egress) == 0
    error_message = "the group has rules of its own"
  }

  assert {
    condition     = aws_vpc_endpoint.kms[0].service_name == "com.amazonaws.eu-central-1.kms" && aws_vpc_endpoint.kms[0].private_dns_enabled && aws_vpc_endpoint.kms[0].vpc_endpoint_type == "Interface"
    error_message = "the relay does not find KMS under the name that the enclave takes"
  }

  assert {
    condition = jsondecode(aws_vpc_endpoint.kms[0].policy) == {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "VaultKeys"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"]
        Resource  = ["arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"]
        Condition = { ArnEquals = { "aws:PrincipalArn" = "arn:aws:iam::111122223333:role/nitro-signer" } }
      }]
    }
    error_message = "the endpoint of KMS lets more through: ${aws_vpc_endpoint.kms[0].policy}"
  }

  assert {
    condition = { for statement in jsondecode(aws_vpc_endpoint.s3[0].policy).Statement : statement.Sid => join(" ", concat(statement.Action, statement.Resource)) } == {
      Store    = "s3:ListBucket s3:GetObject s3:PutObject arn:aws:s3:::treasury-store arn:aws:s3:::treasury-store/treasury/main/*"
      Packages = "s3:GetObject arn:aws:s3:::al2023-repos-eu-central-1-de612dc2/*"
      Release  = "s3:GetObject arn:aws:s3:::treasury-releases/tls/clients.pem arn:aws:s3:::treasury-releases/0.1.0/enclave.eif arn:aws:s3:::treasury-releases/0.1.0/manifest.cbor arn:aws:s3:::treasury-releases/0.1.0/measurements.json arn:aws:s3:::treasury-releases/0.1.0/nitro-signer arn:aws:s3:::treasury-releases/tls/server.pem arn:aws:s3:::treasury-releases/tls/server.key"
    }
    error_message = "the endpoint of S3 lets more through: ${aws_vpc_endpoint.s3[0].policy}"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_vpc_endpoint.s3[0].policy).Statement : can(statement.Condition.ArnEquals) || statement.Sid == "Packages"])
    error_message = "the endpoint of S3 serves others than the hosts"
  }
}

run "the_role" {
  command = plan

  assert {
    condition = flatten([for policy in [aws_iam_role_policy.store.policy, aws_iam_role_policy.release[0].policy, aws_iam_role_policy.metrics[0].policy] : [for statement in jsondecode(policy).Statement : statement.Action]]) == [
      "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:GetObject", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents",
    ]
    error_message = "the role may do something else"
  }

  assert {
    condition     = alltrue(flatten([for policy in [aws_iam_role_policy.store.policy, aws_iam_role_policy.release[0].policy, aws_iam_role_policy.metrics[0].policy] : [for statement in jsondecode(policy).Statement : [for resource in flatten([statement.Resource]) : resource != "*"]]]))
    error_message = "the role has a right on everything"
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
    error_message = "somebody else can become the role"
  }
}

run "the_store" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.store.versioning_configuration[0].status == "Enabled" && !aws_s3_bucket.store.force_destroy
    error_message = "versions are not kept"
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.store.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.store.arn
    error_message = "the bucket is not encrypted by the customer key"
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.store.block_public_acls && aws_s3_bucket_public_access_block.store.block_public_policy && aws_s3_bucket_public_access_block.store.ignore_public_acls && aws_s3_bucket_public_access_block.store.restrict_public_buckets
    error_message = "the public is not shut out"
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.store.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "objects can have other owners"
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.store.policy).Statement : "${statement.Effect} ${statement.Sid}"] == ["Deny TlsOnly", "Deny RecentTlsOnly", "Deny NoOtherKey", "Deny NeverOverwrite", "Deny NeverDelete", "Deny HostsFromTheirVpcOnly"]
    error_message = "the bucket's policy is another one"
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.store.policy).Statement[0].Condition == { Bool = { "aws:SecureTransport" = "false" } } && jsondecode(aws_s3_bucket_policy.store.policy).Statement[5].Condition == { StringNotEquals = { "aws:SourceVpc" = "vpc-11111111" } }
    error_message = "plain HTTP or other networks are let in"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_kms_key.store.policy).Statement : !strcontains(jsonencode(statement.Principal), ":root") && !strcontains(jsonencode(statement.Principal), "*")]) && aws_kms_key.store.enable_key_rotation
    error_message = "the store's key is delegated"
  }
}

run "existing_endpoints" {
  command = plan

  variables {
    existing_endpoints = { security_group_id = "sg-33333333", s3_prefix_list_id = "pl-22222222" }
  }

  assert {
    condition     = length(aws_vpc_endpoint.kms) + length(aws_vpc_endpoint.s3) + length(aws_vpc_endpoint.logs) + length(aws_security_group.endpoints) == 0
    error_message = "endpoints are made twice"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.endpoints.referenced_security_group_id == "sg-33333333" && aws_vpc_security_group_egress_rule.s3.prefix_list_id == "pl-22222222"
    error_message = "the hosts do not reach the existing endpoints"
  }
}

run "without_metrics" {
  command = plan

  variables {
    metrics = false
  }

  assert {
    condition     = length(aws_vpc_endpoint.logs) + length(aws_iam_role_policy.metrics) + length(aws_cloudwatch_log_group.metrics) == 0 && !strcontains(local.user_data, "cloudwatch")
    error_message = "something of the metrics is left"
  }

  assert {
    condition     = output.metrics == null
    error_message = "metrics are announced"
  }
}

run "before_there_is_a_release" {
  command = plan

  variables {
    release = null
  }

  assert {
    condition     = length(aws_launch_template.this) == 0 && length(aws_iam_role_policy.release) == 0 && output.launch_template == null
    error_message = "a host could start without a release"
  }

  assert {
    condition     = length(jsondecode(aws_vpc_endpoint.s3[0].policy).Statement) == 2
    error_message = "the endpoint of S3 has a statement about nothing"
  }
}

run "a_release_with_a_key_of_its_own" {
  command = plan

  variables {
    release = { bucket = "treasury-releases", kms_key_arn = "arn:aws:kms:eu-central-1:111122223333:key/88888888-12ab-34cd-56ef-1234567890ab", files = { for name in ["nitro_signer", "enclave_eif", "measurements", "manifest", "server_certificate", "server_key", "client_ca"] : name => { key = name, sha256 = join("", [for i in range(32) : "11"]) } } }
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.release[0].policy).Statement[1] == {
      Sid       = "DecryptByS3"
      Effect    = "Allow"
      Action    = ["kms:Decrypt"]
      Resource  = "arn:aws:kms:eu-central-1:111122223333:key/88888888-12ab-34cd-56ef-1234567890ab"
      Condition = { StringEquals = { "kms:ViaService" = "s3.eu-central-1.amazonaws.com" } }
    }
    error_message = "the release cannot be decrypted, or more can"
  }
}
