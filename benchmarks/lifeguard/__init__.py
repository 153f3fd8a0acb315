"""SWIM and SWIM with Lifeguard, to compare flip with, and the experiment of the Lifeguard paper."""
