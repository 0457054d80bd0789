# One host with one enclave: the vault's key, the host and its store, the alarms. The store is in S3, so
# a host that is lost is replaced by `terraform apply -replace='aws_instance.host[0]'`, and no key with it.

provider "aws" {
  region = var.region
}

module "key" {
  source = "../../modules/key"

  deployment      = var.deployment
  vault           = var.vault
  administrators  = var.administrators
  break_glass     = var.break_glass
  auditors        = var.auditors
  appliance_roles = [module.appliance.role_arn]
  vault_creation  = var.vault_creation

  images = [for image in var.running : {
    measurements = file(image.measurements_file)
    version      = image.version
    pcr16        = image.pcr16
  }]
}

module "appliance" {
  source = "../../modules/appliance"

  name            = var.name
  deployment      = var.deployment
  vault           = var.vault
  administrators  = var.administrators
  vault_key_arns  = [module.key.arn]
  vpc_id          = var.vpc_id
  subnet_ids      = var.subnet_ids
  route_table_ids = var.route_table_ids
  clients         = var.clients
  monitors        = var.monitors
  bucket          = var.store_bucket
  ami_id          = var.ami_id
  instance_type   = var.instance_type
  release         = var.release
}

module "alarms" {
  source = "../../modules/alarms"

  name               = var.name
  key_arns           = [module.key.arn]
  manifest_hashes    = distinct([for image in var.running : image.manifest_hash])
  image_digests      = distinct([for set in module.key.measurement_sets : set.PCR0])
  administrators     = var.administrators
  trail_bucket       = var.trail_bucket
  data_event_buckets = [module.appliance.bucket_arn]
  metrics            = var.release == null ? null : module.appliance.metrics
  emails             = var.emails

  watched_principals = {
    for arn in setunion(var.administrators, var.break_glass) : replace(basename(arn), "/[^A-Za-z0-9-]/", "-") => arn
  }
}

resource "aws_instance" "host" {
  #checkov:skip=CKV_AWS_79:the launch template asks for version 2 of the instance metadata
  #checkov:skip=CKV_AWS_126:the launch template turns detailed monitoring on
  #checkov:skip=CKV_AWS_135:the launch template says ebs_optimized
  #checkov:skip=CKV_AWS_8:the launch template encrypts the root volume
  #checkov:skip=CKV2_AWS_41:the launch template names the instance profile
  count = var.release == null ? 0 : 1

  subnet_id                   = var.subnet_ids[0]
  associate_public_ip_address = false
  vpc_security_group_ids      = [module.appliance.security_group_id]

  launch_template {
    id      = module.appliance.launch_template.id
    version = module.appliance.launch_template.version
  }

  tags = { Name = var.name }
}
