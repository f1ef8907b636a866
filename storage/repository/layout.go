package repository

import "strings"

// kind is a folder of the repository. Its value is the folder's name.
type kind string

const (
	kindKey      kind = "keys"
	kindData     kind = "data"
	kindIndex    kind = "index"
	kindSnapshot kind = "snapshots"
	kindLock     kind = "locks"
)

// configName is the only object that is not named after its content.
const configName = "config"

// prefix is the beginning of the names of all objects of this kind.
func (k kind) prefix() string { return string(k) + "/" }

// name returns the object's full name in the bucket. Packs are spread over 256 folders.
func (k kind) name(id ID) string {
	hex := id.String()
	if k == kindData {
		return k.prefix() + hex[:2] + "/" + hex
	}
	return k.prefix() + hex
}

// parseName returns the ID in an object's name; false if this kind has no such names.
func (k kind) parseName(name string) (ID, bool) {
	id, err := ParseID(name[strings.LastIndexByte(name, '/')+1:])
	return id, err == nil && k.name(id) == name
}
