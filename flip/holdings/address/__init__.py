"""The provider "address": data points that are IP addresses, kept by flip itself, without hooks."""
