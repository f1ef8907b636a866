package manifest

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"

	"github.com/stsbackup/stsbackup/test/cluster/spec"
)

//go:embed *.yaml
var files embed.FS

// Names of the manifests. Core needs only the API server; Classes needs the VolumeSnapshot resources.
const (
	Core    = "core.yaml"
	S3      = "s3.yaml"
	Classes = "classes.yaml"
)

// S3Image is the image of the S3 server.
const S3Image = "localhost/s3:1"

// Render fills in one manifest.
func Render(name string, c spec.Cluster) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(files, name)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", name, err)
	}
	var out bytes.Buffer
	data := struct {
		spec.Cluster
		S3Image string
	}{c, S3Image}
	if err := t.Execute(&out, data); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", name, err)
	}
	return out.Bytes(), nil
}
