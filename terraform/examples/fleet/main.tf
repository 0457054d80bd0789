# Several hosts with the same image, manifest and vault, in two zones behind an internal network load
# balancer. TLS ends in the hosts, which ask for the client's certificate; the balancer passes bytes.
# A host is healthy when its enclave is ready and has loaded the keys.

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
  clients         = { balancer = aws_security_group.balancer.id }
  monitors        = merge(var.monitors, { balancer = aws_security_group.balancer.id })
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

resource "aws_security_group" "balancer" {
  #checkov:skip=CKV2_AWS_5:attached to the load balancer below
  name        = "${var.name}-balancer"
  description = "Load balancer of nitro-signer"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each = var.clients

  security_group_id            = aws_security_group.balancer.id
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = module.appliance.https_port
  to_port                      = module.appliance.https_port
  description                  = "HTTPS from ${each.key}"
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  for_each = { https = module.appliance.https_port, health = module.appliance.ops_port }

  security_group_id            = aws_security_group.balancer.id
  referenced_security_group_id = module.appliance.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  description                  = "Hosts: ${each.key}"
}

resource "aws_lb" "hosts" {
  #checkov:skip=CKV_AWS_91:a network balancer logs TLS listeners only, and TLS ends in the hosts
  name                             = var.name
  internal                         = true
  load_balancer_type               = "network"
  subnets                          = var.subnet_ids
  security_groups                  = [aws_security_group.balancer.id]
  enable_cross_zone_load_balancing = true
  enable_deletion_protection       = true
}

resource "aws_lb_target_group" "hosts" {
  name                 = var.name
  vpc_id               = var.vpc_id
  port                 = module.appliance.https_port
  protocol             = "TCP"
  preserve_client_ip   = "false"
  deregistration_delay = 60

  health_check {
    protocol = "HTTP"
    port     = tostring(module.appliance.ops_port)
    path     = "/readyz"
    matcher  = "200"
    interval = 10
  }
}

resource "aws_lb_listener" "hosts" {
  load_balancer_arn = aws_lb.hosts.arn
  port              = module.appliance.https_port
  protocol          = "TCP"

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.hosts.arn
  }
}

resource "aws_autoscaling_group" "hosts" {
  count = var.release == null ? 0 : 1

  name                      = var.name
  min_size                  = 2
  max_size                  = 4
  desired_capacity          = 2
  vpc_zone_identifier       = var.subnet_ids
  target_group_arns         = [aws_lb_target_group.hosts.arn]
  health_check_type         = "ELB"
  health_check_grace_period = 900
  wait_for_capacity_timeout = "0"

  launch_template {
    id      = module.appliance.launch_template.id
    version = module.appliance.launch_template.version
  }

  # A new release replaces the hosts one by one, each when the one before is ready.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 50
      instance_warmup        = 300
    }
  }

  tag {
    key                 = "Name"
    value               = var.name
    propagate_at_launch = true
  }
}
