// Package storage names what stsbackup needs of the place where objects are kept.
//
// A Bucket is a flat set of named, immutable byte strings: S3 (package s3), a directory (package local) or
// memory (package storagetest). It is deliberately small. Encryption, deduplication and the meaning of names
// belong to package repository, which is built on it; retries, checksums on the wire and the translation of a
// vendor's errors into the sentinels below belong to the implementations.
//
// Everything that is read from a Bucket is untrusted input until package repository has checked it.
package storage
