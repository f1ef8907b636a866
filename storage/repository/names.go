package repository

import (
	"github.com/stsbackup/stsbackup/storage/repository/format"
)

// Names of the format that every user of a repository needs.
type (
	// ID names a blob or an object: a SHA-256.
	ID = format.ID
	// BlobType says what a blob holds.
	BlobType = format.BlobType
)

// The types of blobs.
const (
	DataBlob = format.DataBlob
	TreeBlob = format.TreeBlob
)

// Hash returns the ID of data.
func Hash(data []byte) ID { return format.Hash(data) }

// ParseID reads the 64 lower-case hex digits of an ID.
func ParseID(s string) (ID, error) { return format.ParseID(s) }
