# The measurement sets, as written and as taken from measurements.json. A set is an image with one
# manifest: the pairs are named one by one, so that no old image meets a new manifest.

locals {
  # Our own file lists several images; nitro-cli's form is one image itself.
  listed = [for image in var.images : try(jsondecode(image.measurements).images, [jsondecode(image.measurements)])]

  chosen = [
    for i, image in var.images : [
      for position, candidate in local.listed[i] : candidate
      if(
        image.version != null ? try(candidate.version, null) == image.version :
        image.index != null ? position == image.index :
        length(local.listed[i]) == 1
      )
    ]
  ]

  sets_from_images = [
    for i, image in var.images : {
      pcr0  = try(local.chosen[i][0].Measurements.PCR0, "")
      pcr16 = image.pcr16
      pcr3  = image.pcr3
      pcr8  = try(local.chosen[i][0].Measurements.PCR8, null)
    }
  ]

  # A register that a set does not name is left out of it.
  sets = [
    for set in concat(var.measurement_sets, local.sets_from_images) :
    { for register, value in set : upper(register) => value if value != null }
  ]

  # PCR0, PCR3, PCR8, PCR16: by number.
  registers = [for register in ["PCR0", "PCR3", "PCR8", "PCR16"] : register if contains(keys(try(local.sets[0], {})), register)]
}

# Refuses before anything is made: the key waits for it.
resource "terraform_data" "terms" {
  lifecycle {
    precondition {
      condition     = alltrue([for candidates in local.chosen : length(candidates) == 1])
      error_message = "images: each must choose exactly one image of its measurements.json; name its version, or its index from 0."
    }

    precondition {
      condition     = alltrue(flatten([for candidates in local.chosen : [for image in candidates : !can(image.revoked)]]))
      error_message = "images: measurements.json says that a chosen image is revoked; take it out of images."
    }

    precondition {
      condition = alltrue(flatten([
        for candidates in local.chosen : [for image in candidates : try(timecmp(image.not_after, plantimestamp()) > 0, !can(image.not_after))]
      ]))
      error_message = "images: measurements.json says that a chosen image was to be trusted until a time that is over; take it out of images."
    }

    precondition {
      condition     = alltrue(flatten([for set in local.sets : [for value in values(set) : can(regex("^[0-9a-f]{96}$", value)) && !can(regex("^0+$", value))]]))
      error_message = "A register of the chosen images or their pcr16 or pcr3 is not 96 lower-case hex digits other than zeros."
    }

    precondition {
      condition     = length(distinct([for set in local.sets : join(" ", keys(set))])) <= 1
      error_message = "Every measurement set must name the same registers: a Deny statement on PCR3 or PCR8 would shut out the sets that do not name it."
    }

    precondition {
      condition     = length(distinct([for set in local.sets : jsonencode(set)])) == length(local.sets)
      error_message = "Two measurement sets are the same; name each once."
    }

    precondition {
      condition     = length(local.policy) <= 32768
      error_message = "The key's policy is longer than the 32 KiB that KMS takes: remove old measurement sets."
    }
  }
}
