package images

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stsbackup/stsbackup/test/cluster/image"
)

// workload is an image of Debian packages.
type workload struct {
	names    []string
	packages []string
	config   v1.Config
	// add puts what the packages lack into the image's own layer.
	add func(*image.Tree)
}

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// busyboxNames are the names of the busybox image.
func busyboxNames() []string { return []string{"busybox:1.35", "busybox:latest"} }

func workloads() []workload {
	env := []string{searchPath}
	return []workload{{
		names:    []string{"redis:7.0", "redis:latest"},
		packages: []string{"redis-server", "redis-tools"},
		config:   v1.Config{Cmd: []string{"redis-server"}, WorkingDir: "/data", Env: env, ExposedPorts: map[string]struct{}{"6379/tcp": {}}},
		// Any user of the pod may write there without a volume.
		add: func(t *image.Tree) { t.Dir("data", 0o1777) },
	}, {
		names:    []string{"nginx:1.22", "nginx:latest"},
		packages: []string{"nginx"},
		config:   v1.Config{Cmd: []string{"nginx", "-g", "daemon off;"}, Env: env, ExposedPorts: map[string]struct{}{"80/tcp": {}}},
		add: func(t *image.Tree) {
			t.File("etc/nginx/nginx.conf", 0o644, []byte(nginxConfig))
			t.Dir("var/log/nginx", 0o1777)
			t.Dir("usr/share/nginx/html", 0o755)
			t.File("usr/share/nginx/html/index.html", 0o644, []byte("<h1>nginx of the test cluster</h1>\n"))
		},
	}}
}

// nginxConfig serves /usr/share/nginx/html without root: it writes only below /tmp.
const nginxConfig = `worker_processes 1;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events { worker_connections 256; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  access_log /dev/stdout;
  client_body_temp_path /tmp/nginx-body;
  proxy_temp_path /tmp/nginx-proxy;
  fastcgi_temp_path /tmp/nginx-fastcgi;
  uwsgi_temp_path /tmp/nginx-uwsgi;
  scgi_temp_path /tmp/nginx-scgi;
  server {
    listen 80;
    root /usr/share/nginx/html;
  }
}
`

// buildWorkloads makes the images of the workloads on one base layer.
func buildWorkloads(ctx context.Context, debian image.Debian, architecture string) (map[string]v1.Image, error) {
	base, err := debian.Tree(ctx, image.Base()...)
	if err != nil {
		return nil, err
	}
	baseLayer, err := image.Layer(base)
	if err != nil {
		return nil, err
	}
	built := map[string]v1.Image{}
	for _, w := range workloads() {
		whole, err := debian.Tree(ctx, append(image.Base(), w.packages...)...)
		if err != nil {
			return nil, err
		}
		own := whole.Without(base)
		w.add(own)
		layer, err := image.Layer(own)
		if err != nil {
			return nil, err
		}
		one, err := image.Build(w.config, architecture, baseLayer, layer)
		if err != nil {
			return nil, err
		}
		for _, name := range w.names {
			built[name] = one
		}
	}
	return built, nil
}
