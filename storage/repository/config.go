package repository

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/restic/chunker"

	"github.com/stsbackup/stsbackup/storage"
	"github.com/stsbackup/stsbackup/storage/repository/seal"
)

const maxConfigSize = 64 << 10

// config is the object that makes a repository exist.
type config struct {
	Version uint   `json:"version"`
	ID      string `json:"id"`
	// ChunkerPolynomial is what restic cuts files with. This package cuts with a key of its own, but restic refuses to
	// open a repository whose polynomial is missing or not irreducible.
	ChunkerPolynomial chunker.Pol `json:"chunker_polynomial"`
}

func newConfig(random io.Reader) (config, error) {
	var id ID
	if _, err := io.ReadFull(random, id[:]); err != nil {
		return config{}, fmt.Errorf("draw a repository id: %w", err)
	}
	polynomial, err := chunker.RandomPolynomial()
	if err != nil {
		return config{}, fmt.Errorf("draw a polynomial: %w", err)
	}
	return config{Version: 2, ID: id.String(), ChunkerPolynomial: polynomial}, nil
}

// saveConfig stores the config: sealed, never compressed.
func saveConfig(ctx context.Context, bucket storage.Bucket, sealer *seal.Sealer, c config) error {
	plain, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	sealed, err := sealer.Seal(nil, plain)
	if err != nil {
		return err
	}
	if err := bucket.Put(ctx, configName, sealed); err != nil {
		return fmt.Errorf("write config: %w", err)
	}
	return nil
}

// openConfig opens the bytes of a config object, without changing them.
func openConfig(raw []byte, sealer *seal.Sealer) (config, error) {
	plain, err := sealer.Open(append([]byte(nil), raw...))
	if err != nil {
		return config{}, fmt.Errorf("open config: %w", err)
	}
	return decodeConfig(plain)
}

func decodeConfig(plain []byte) (config, error) {
	var c config
	if err := json.Unmarshal(plain, &c); err != nil {
		return config{}, fmt.Errorf("decode config: %w", err)
	}
	if c.Version < 1 || c.Version > 2 {
		return config{}, fmt.Errorf("config: repository format version %d is not supported (1 and 2 are)", c.Version)
	}
	return c, nil
}
