# Every validation and precondition refuses what it is there for, one case each. Nothing is applied.

mock_provider "aws" {}

variables {
  deployment      = "treasury"
  vault           = "main"
  administrators  = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  appliance_roles = ["arn:aws:iam::111122223333:role/nitro-signer"]
}

run "deployment_in_upper_case" {
  command = plan

  variables {
    deployment = "Treasury"
  }

  expect_failures = [var.deployment]
}

run "deployment_of_65_letters" {
  command = plan

  variables {
    deployment = join("", [for i in range(65) : "a"])
  }

  expect_failures = [var.deployment]
}

run "vault_with_a_slash" {
  command = plan

  variables {
    vault = "main/other"
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

run "a_wildcard_as_administrator" {
  command = plan

  variables {
    administrators = ["arn:aws:iam::111122223333:role/*"]
  }

  expect_failures = [var.administrators]
}

run "everybody_as_administrator" {
  command = plan

  variables {
    administrators = ["*"]
  }

  expect_failures = [var.administrators]
}

run "the_root_as_break_glass" {
  command = plan

  variables {
    break_glass = ["arn:aws:iam::111122223333:root"]
  }

  expect_failures = [var.break_glass]
}

run "an_administrator_as_break_glass" {
  command = plan

  variables {
    break_glass = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  }

  expect_failures = [var.break_glass]
}

run "a_wildcard_as_auditor" {
  command = plan

  variables {
    auditors = ["arn:aws:iam::111122223333:role/Aud?tor"]
  }

  expect_failures = [var.auditors]
}

run "an_administrator_as_auditor" {
  command = plan

  variables {
    auditors = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  }

  expect_failures = [var.auditors]
}

run "break_glass_as_auditor" {
  command = plan

  variables {
    break_glass = ["arn:aws:iam::111122223333:role/BreakGlass"]
    auditors    = ["arn:aws:iam::111122223333:role/BreakGlass"]
  }

  expect_failures = [var.auditors]
}

run "no_appliance" {
  command = plan

  variables {
    appliance_roles = []
  }

  expect_failures = [var.appliance_roles]
}

run "a_user_as_appliance" {
  command = plan

  variables {
    appliance_roles = ["arn:aws:iam::111122223333:user/ada"]
  }

  expect_failures = [var.appliance_roles]
}

run "the_root_as_appliance" {
  command = plan

  variables {
    appliance_roles = ["arn:aws:iam::111122223333:root"]
  }

  expect_failures = [var.appliance_roles]
}

run "an_administrator_as_appliance" {
  command = plan

  variables {
    appliance_roles = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  }

  expect_failures = [var.appliance_roles]
}

run "break_glass_as_appliance" {
  command = plan

  variables {
    break_glass = ["arn:aws:iam::111122223333:role/nitro-signer"]
  }

  expect_failures = [var.appliance_roles]
}

run "an_auditor_as_appliance" {
  command = plan

  variables {
    auditors = ["arn:aws:iam::111122223333:role/nitro-signer"]
  }

  expect_failures = [var.appliance_roles]
}

run "a_register_in_upper_case" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "1A"]), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [var.measurement_sets]
}

run "a_short_register" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = "1a", pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [var.measurement_sets]
}

run "a_register_of_zeros" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "00"]), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [var.measurement_sets]
}

run "a_manifest_of_zeros" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "00"]) }]
  }

  expect_failures = [var.measurement_sets]
}

run "an_optional_register_of_zeros" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "2b"]), pcr8 = join("", [for i in range(48) : "00"]) }]
  }

  expect_failures = [var.measurement_sets]
}

run "a_wildcard_in_a_register" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = "1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1*", pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [var.measurement_sets]
}

run "the_same_set_twice" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "2b"]) }, { pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [terraform_data.terms]
}

run "sets_with_other_registers" {
  command = plan

  variables {
    measurement_sets = [{ pcr0 = join("", [for i in range(48) : "1a"]), pcr16 = join("", [for i in range(48) : "2b"]) }, { pcr0 = join("", [for i in range(48) : "3c"]), pcr16 = join("", [for i in range(48) : "2b"]), pcr3 = join("", [for i in range(48) : "5e"]) }]
  }

  expect_failures = [terraform_data.terms]
}

run "measurements_that_are_a_file_name" {
  command = plan

  variables {
    images = [{ measurements = "measurements.json", pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [var.images]
}

run "measurements_that_are_a_list" {
  command = plan

  variables {
    images = [{ measurements = "[]", pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [var.images]
}

run "an_image_chosen_twice_over" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/two-images.json"), pcr16 = join("", [for i in range(48) : "2b"]), version = "0.1.0", index = 0 }]
  }

  expect_failures = [var.images]
}

run "an_image_of_two_not_chosen" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/two-images.json"), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [terraform_data.terms]
}

run "an_image_that_is_not_listed" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/two-images.json"), pcr16 = join("", [for i in range(48) : "2b"]), version = "0.3.0" }]
  }

  expect_failures = [terraform_data.terms]
}

run "a_version_that_two_images_have" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/untrusted.json"), pcr16 = join("", [for i in range(48) : "2b"]), version = "twice" }]
  }

  expect_failures = [terraform_data.terms]
}

run "a_revoked_image" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/untrusted.json"), pcr16 = join("", [for i in range(48) : "2b"]), version = "revoked" }]
  }

  expect_failures = [terraform_data.terms]
}

run "an_image_whose_time_is_over" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/untrusted.json"), pcr16 = join("", [for i in range(48) : "2b"]), version = "over" }]
  }

  expect_failures = [terraform_data.terms]
}

run "an_image_in_debug_mode" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/untrusted.json"), pcr16 = join("", [for i in range(48) : "2b"]), version = "debug" }]
  }

  expect_failures = [terraform_data.terms]
}

run "an_image_in_upper_case" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/untrusted.json"), pcr16 = join("", [for i in range(48) : "2b"]), version = "upper" }]
  }

  expect_failures = [terraform_data.terms]
}

run "an_image_with_a_manifest_of_zeros" {
  command = plan

  variables {
    images = [{ measurements = file("tests/measurements/two-images.json"), pcr16 = join("", [for i in range(48) : "00"]), index = 1 }]
  }

  expect_failures = [terraform_data.terms]
}

run "more_sets_than_a_policy_holds" {
  command = plan

  variables {
    measurement_sets = [for i in range(40) : { pcr0 = format("%096x", i + 1), pcr16 = join("", [for i in range(48) : "2b"]) }]
  }

  expect_failures = [terraform_data.terms]
}

run "a_short_deletion_window" {
  command = plan

  variables {
    deletion_window_in_days = 6
  }

  expect_failures = [var.deletion_window_in_days]
}

run "a_long_deletion_window" {
  command = plan

  variables {
    deletion_window_in_days = 31
  }

  expect_failures = [var.deletion_window_in_days]
}

run "a_broken_deletion_window" {
  command = plan

  variables {
    deletion_window_in_days = 7.5
  }

  expect_failures = [var.deletion_window_in_days]
}

run "a_short_rotation" {
  command = plan

  variables {
    rotation_period_in_days = 89
  }

  expect_failures = [var.rotation_period_in_days]
}

run "a_long_rotation" {
  command = plan

  variables {
    rotation_period_in_days = 2561
  }

  expect_failures = [var.rotation_period_in_days]
}

run "a_broken_rotation" {
  command = plan

  variables {
    rotation_period_in_days = 90.5
  }

  expect_failures = [var.rotation_period_in_days]
}

run "an_alias_with_its_prefix" {
  command = plan

  variables {
    alias = "alias/vault"
  }

  expect_failures = [var.alias]
}

run "an_alias_of_aws" {
  command = plan

  variables {
    alias = "aws/vault"
  }

  expect_failures = [var.alias]
}

run "an_alias_with_a_dot" {
  command = plan

  variables {
    alias = "vault.main"
  }

  expect_failures = [var.alias]
}
