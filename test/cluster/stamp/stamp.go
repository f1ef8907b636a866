package stamp

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Key is the hash of parts; their order counts, and no two lists of parts give the same text to hash.
func Key(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s,", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// FileKey is the hash of the contents of files.
func FileKey(paths ...string) (string, error) {
	var parts []string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(data)
		parts = append(parts, string(sum[:]))
	}
	return Key(parts...), nil
}

// Fresh says whether the result with this name was made with this key and all its files are there.
func Fresh(dir, name, key string, results ...string) bool {
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil || strings.TrimSpace(string(data)) != key {
		return false
	}
	for _, path := range results {
		if _, err := os.Stat(path); err != nil {
			return false
		}
	}
	return true
}

// Set records the key of a complete result.
func Set(dir, name, key string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".new", []byte(key+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
