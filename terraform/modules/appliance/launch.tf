# How a host starts. It installs only files whose SHA-256 stands here, so the launch template's version
# says what runs. Its units, allocator.yaml and parent.toml are those of parent/deploy, with the few
# values changed that this deployment decides.

locals {
  deploy = "${path.module}/../../../parent/deploy"

  # What is changed, in which file: the old text must be there, word for word.
  changes = {
    unit_resources = {
      file = "nitro-signer-enclave.service"
      old  = "--memory 256 --cpus 2 --cid 16"
      new  = "--memory ${var.enclave.memory_mib} --cpus ${var.enclave.cpu_count} --cid 16"
    }
    memory = {
      file = "allocator.yaml"
      old  = "memory_mib: 256"
      new  = "memory_mib: ${var.enclave.memory_mib}"
    }
    cpus = {
      file = "allocator.yaml"
      old  = "cpu_count: 2"
      new  = "cpu_count: ${var.enclave.cpu_count}"
    }
    store = {
      file = "parent.toml"
      old  = "store = \"file:///var/lib/nitro-signer/store\""
      new = join("\n", concat(
        ["store = \"s3://${var.bucket}/${local.prefix}\"", "store_region = \"${data.aws_region.here.name}\""],
        var.chain_id == null ? [] : ["chain_id = ${var.chain_id}"],
      ))
    }
    ops = {
      file = "parent.toml"
      old  = "ops_listen = \"127.0.0.1:9464\""
      new  = "ops_listen = \"${length(var.monitors) == 0 ? "127.0.0.1" : "0.0.0.0"}:${local.ops_port}\""
    }
    listen = {
      file = "parent.toml"
      old  = "listen = \"0.0.0.0:8443\""
      new  = "listen = \"0.0.0.0:${local.https_port}\""
    }
  }

  unit      = replace(file("${local.deploy}/nitro-signer-enclave.service"), local.changes.unit_resources.old, local.changes.unit_resources.new)
  allocator = replace(replace(file("${local.deploy}/allocator.yaml"), local.changes.memory.old, local.changes.memory.new), local.changes.cpus.old, local.changes.cpus.new)
  parent = replace(replace(replace(file("${local.deploy}/parent.toml"),
    local.changes.store.old, local.changes.store.new),
    local.changes.ops.old, local.changes.ops.new),
  local.changes.listen.old, local.changes.listen.new)

  agent = jsonencode({
    logs = {
      metrics_collected = {
        prometheus = {
          log_group_name         = local.log_group
          prometheus_config_path = "/etc/nitro-signer/prometheus.yaml"
          emf_processor = {
            metric_declaration_dedup = true
            metric_namespace         = local.namespace
            metric_declaration = [
              {
                source_labels    = ["job"]
                label_matcher    = "^nitro-signer$"
                dimensions       = [["deployment", "vault", "code"]]
                metric_selectors = ["^nitro_signer_requests_total$"]
              },
              {
                source_labels = ["job"]
                label_matcher = "^nitro-signer$"
                dimensions    = [["deployment", "vault"]]
                metric_selectors = [
                  "^nitro_signer_ready$", "^nitro_signer_link_up$", "^nitro_signer_refused_records$",
                  "^nitro_signer_handshake_failures_total$", "^nitro_signer_credentials_failures_total$",
                  "^nitro_signer_certificate_expiry_seconds$",
                ]
              },
            ]
          }
        }
      }
    }
  })

  # JSON is YAML.
  prometheus = jsonencode({
    global = { scrape_interval = "60s", scrape_timeout = "10s" }
    scrape_configs = [{
      job_name       = "nitro-signer"
      static_configs = [{ targets = ["127.0.0.1:${local.ops_port}"], labels = { deployment = var.deployment, vault = var.vault } }]
    }]
  })

  namespace = "NitroSigner"

  user_data = var.release == null ? null : templatefile("${path.module}/user-data.sh.tftpl", {
    region     = data.aws_region.here.name
    bucket     = var.release.bucket
    files      = var.release.files
    metrics    = var.metrics
    sysusers   = file("${local.deploy}/sysusers.conf")
    enclave    = local.unit
    parent     = file("${local.deploy}/nitro-signer.service")
    allocator  = local.allocator
    toml       = local.parent
    agent      = local.agent
    prometheus = local.prometheus
  })
}

resource "aws_launch_template" "this" {
  count = var.release == null ? 0 : 1

  name                   = var.name
  description            = "Host of nitro-signer, vault ${var.vault} of ${var.deployment}"
  update_default_version = true
  image_id               = var.ami_id
  instance_type          = var.instance_type
  ebs_optimized          = true
  user_data              = base64encode(local.user_data)
  tags                   = var.tags

  enclave_options {
    enabled = true
  }

  # Version 2 of the instance metadata, which a redirected request cannot get, and for the host alone.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  iam_instance_profile {
    arn = aws_iam_instance_profile.this.arn
  }

  network_interfaces {
    device_index                = 0
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.hosts.id]
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      volume_type           = "gp3"
      volume_size           = var.root_volume_gib
      delete_on_termination = true
    }
  }

  monitoring {
    enabled = true
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = var.name })
  }

  tag_specifications {
    resource_type = "volume"
    tags          = merge(var.tags, { Name = var.name })
  }

  lifecycle {
    precondition {
      condition     = alltrue([for change in values(local.changes) : strcontains(file("${local.deploy}/${change.file}"), change.old)])
      error_message = "A file of parent/deploy no longer has the line that this module changes: use module and parent/deploy of one release."
    }

    precondition {
      condition     = length(local.user_data) <= 16384
      error_message = "The user data is longer than the 16 KiB that EC2 takes: use shorter object keys."
    }
  }
}
