output "arn" {
  description = "The replica's ARN. A manifest that uses it names it, and the exception for multi-region keys."
  value       = local.arn
}
