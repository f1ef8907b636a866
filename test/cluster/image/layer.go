package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layer is an uncompressed layer: the stored bytes are also its contents.
type layer struct {
	data []byte
	hash v1.Hash
}

func newLayer(t *Tree) (layer, error) {
	var data bytes.Buffer
	if _, err := t.WriteTo(&data); err != nil {
		return layer{}, err
	}
	sum := sha256.Sum256(data.Bytes())
	return layer{data: data.Bytes(), hash: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}, nil
}

func (l layer) Digest() (v1.Hash, error) { return l.hash, nil }
func (l layer) DiffID() (v1.Hash, error) { return l.hash, nil }
func (l layer) Size() (int64, error)     { return int64(len(l.data)), nil }
func (l layer) MediaType() (types.MediaType, error) {
	return types.DockerUncompressedLayer, nil
}
func (l layer) Compressed() (io.ReadCloser, error)   { return io.NopCloser(bytes.NewReader(l.data)), nil }
func (l layer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

// Build makes an image of layers. An archive stores layers that are the same value once.
func Build(config v1.Config, architecture string, layers ...v1.Layer) (v1.Image, error) {
	built, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return nil, err
	}
	file, err := built.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.Architecture, file.OS, file.Config = architecture, "linux", config
	return mutate.ConfigFile(built, file)
}

// Layer makes a layer of a tree.
func Layer(t *Tree) (v1.Layer, error) { return newLayer(t) }

// Archive writes images, by name, into one file that a container runtime can load.
func Archive(path string, images map[string]v1.Image) error {
	tags := map[name.Tag]v1.Image{}
	for ref, built := range images {
		tag, err := name.NewTag(ref)
		if err != nil {
			return err
		}
		tags[tag] = built
	}
	if err := tarball.MultiWriteToFile(path+".new", tags); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
