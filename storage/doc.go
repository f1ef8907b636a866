// Package storage says what stsbackup needs from the place where it keeps objects.
//
// A Bucket is a flat set of named, immutable byte strings: S3 (package s3), a directory (package local) or memory
// (package storagetest). It is deliberately small. Package repository builds on it, and is responsible for encryption,
// deduplication and the meaning of names. The implementations are responsible for retries, checksums on the wire, and
// the translation of a vendor's errors into the sentinels below.
//
// Everything that is read from a Bucket is untrusted input until package repository has checked it.
package storage
