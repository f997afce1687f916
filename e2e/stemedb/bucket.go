package stemedb

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/stemedb/firedrill/tools/testbed"
)

// Bucket is where backups go: an S3 bucket of a provider, which runs Versity's gateway over a folder.
type Bucket struct {
	env    *Environment
	server *testbed.Container
	disk   string // the volume that the provider keeps objects on
	secret string // of its owner
	lost   bool
}

const (
	s3Server   = "s3.example.com"
	bucketName = "stemedb-backups"
	// objectsFolder is where the gateway keeps a folder for each bucket, and in it a file for each object.
	objectsFolder = "/objects"
	bucketOwner   = "stemedb-backup"
	rootUser      = "provider"
)

// newBucket brings an S3 server with an empty bucket, until the next Begin.
func (e *Environment) newBucket(ctx context.Context) (*Bucket, error) {
	e.Say("making a bucket at %s", s3Server)
	b := &Bucket{env: e, secret: rand.Text()}
	rootSecret := rand.Text()
	e.RedactLater(b.secret, rootSecret)
	var err error
	if b.disk, err = e.Volume(ctx, "objects"); err != nil {
		return nil, err
	}
	e.bucket = b
	e.Cleanup(b.remove)
	users, err := json.Marshal(map[string]any{"accessAccounts": map[string]any{
		bucketOwner: map[string]string{"access": bucketOwner, "secret": b.secret, "role": "user"},
	}})
	if err != nil {
		return nil, err
	}
	certificate, err := e.services.webCA.serverCertificate(s3Server)
	if err != nil {
		return nil, err
	}
	b.server, err = e.Run(ctx, testbed.Service{
		Name: "s3", Image: e.Image(imageS3), Aliases: []string{s3Server},
		Command: []string{"--port", ":443", "--cert", "/tls/cert.pem", "--key", "/tls/key.pem", "--iam-dir", "/iam", "--iam-cache-disable", "--quiet", "posix", objectsFolder},
		Env: map[string]string{
			"ROOT_ACCESS_KEY_ID": rootUser, "ROOT_SECRET_ACCESS_KEY": rootSecret, "ADMIN_ENDPOINT_URL": "https://127.0.0.1:443", "ADMIN_ALLOW_INSECURE": "true",
		},
		Volumes: map[string]string{objectsFolder: b.disk},
		Files: []testbed.File{
			{Path: "/tls/cert.pem", Content: certificate.Chain, Mode: 0o644},
			{Path: "/tls/key.pem", Content: certificate.Key, Mode: 0o600},
			{Path: "/iam/users.json", Content: users, Mode: 0o600},
		},
	})
	if err != nil {
		return nil, err
	}
	if err := b.awaitReady(ctx); err != nil {
		return nil, err
	}
	return b, b.create(ctx)
}

// awaitReady waits until the server does, and has its name lead to where it is now.
func (b *Bucket) awaitReady(ctx context.Context) error {
	address, err := b.server.Address(ctx)
	if err != nil {
		return err
	}
	if err := b.env.services.resolve(ctx, s3Server, address.String()); err != nil {
		return err
	}
	return b.env.Await(ctx, "the S3 server to answer", func(ctx context.Context) error {
		return b.admin(ctx, "list-buckets")
	})
}

// admin has the provider change something.
func (b *Bucket) admin(ctx context.Context, args ...string) error {
	_, err := b.server.Command(ctx, append([]string{"/bin/s3", "admin"}, args...)...)
	if err != nil { // the arguments may hold a secret
		return fmt.Errorf("%s at the S3 server: %s", args[0], strings.NewReplacer(b.secret, "[redacted]").Replace(err.Error()))
	}
	return nil
}

// Credentials are those that the bucket's owner has for it now, as a file that S3 clients share.
func (b *Bucket) Credentials() []byte {
	return fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", bucketOwner, b.secret)
}

// Rotate gives the owner a new secret; the old one is refused from now on.
func (b *Bucket) Rotate(ctx context.Context) error {
	defer b.env.Touch()
	b.secret = rand.Text()
	b.env.RedactLater(b.secret)
	return b.admin(ctx, "update-user", "--access", bucketOwner, "--secret", b.secret)
}

// Stop ends the server; what it stores stays.
func (b *Bucket) Stop(ctx context.Context) error {
	return b.server.StopGracefully(ctx)
}

// Restart brings it back, and where the bucket was lost, a new one that is empty.
func (b *Bucket) Restart(ctx context.Context) error {
	defer b.env.Touch()
	if err := b.server.Start(ctx); err != nil {
		return err
	}
	if err := b.awaitReady(ctx); err != nil || !b.lost {
		return err
	}
	b.lost = false
	return b.create(ctx)
}

func (b *Bucket) create(ctx context.Context) error {
	return b.admin(ctx, "create-bucket", "--owner", bucketOwner, "--bucket", bucketName)
}

// Damage overwrites some bytes in the middle of the newest object whose name matches, as the shell has it, where the
// provider keeps it.
// A client that asks for it gets what is there, with the old checksum.
func (b *Bucket) Damage(ctx context.Context, pattern string) error {
	defer b.env.Touch()
	_, err := b.runOnVolume(ctx, fmt.Sprintf(`set -e
object=$(find "%[1]s/%[2]s" -type f -path "%[1]s/%[2]s/%[3]s" | sort | tail -n 1)
test -n "$object" || { echo "there is no object %[3]s" >&2; exit 1; }
half=$(($(stat --format %%s "$object") / 2))
printf damaged | dd of="$object" bs=1 seek="$half" conv=notrunc status=none`, objectsFolder, bucketName, pattern))
	return err
}

// Lose takes the bucket away with all that is in it.
func (b *Bucket) Lose(ctx context.Context) error {
	defer b.env.Touch()
	b.lost = true
	_, err := b.runOnVolume(ctx, "rm -r "+objectsFolder+"/"+bucketName)
	return err
}

// Objects are the names of all that is in the bucket, sorted.
func (b *Bucket) Objects(ctx context.Context) ([]string, error) {
	listed, err := b.runOnVolume(ctx, "cd "+objectsFolder+"/"+bucketName+" && find . -type f -printf '%P\\n' | sort")
	return strings.Fields(listed), err
}

// runOnVolume runs a script where the provider keeps the objects: the server's image holds no shell.
func (b *Bucket) runOnVolume(ctx context.Context, script string) (string, error) {
	shell, err := b.env.Run(ctx, testbed.Service{
		Name: "provider", Image: b.env.Image(imageHost), Command: []string{"sleep", "infinity"}, Volumes: map[string]string{objectsFolder: b.disk},
	})
	if err != nil {
		return "", err
	}
	output, err := shell.Output(ctx, script)
	return output, errors.Join(err, shell.Remove(context.WithoutCancel(ctx)))
}

// remove removes the bucket and all that is in it.
func (b *Bucket) remove(ctx context.Context) error {
	return errors.Join(b.server.Remove(ctx), b.env.RemoveVolume(ctx, b.disk))
}

// SetUpBackups sets the host up for backups into a new bucket, as its operator did once, and keeps what a new host needs.
func (h *Host) SetUpBackups(ctx context.Context) (*Bucket, error) {
	b, err := h.env.newBucket(ctx)
	if err != nil {
		return nil, err
	}
	err = h.Run(ctx, `set -e
age-keygen -o /etc/stemedb/backup/age.key 2>/dev/null
touch `+credentialsFile+`
chmod 600 /etc/stemedb/backup/*`)
	if err != nil {
		return nil, fmt.Errorf("make a key for the backups: %w", err)
	}
	if err := h.Put(ctx, credentialsFile, b.Credentials()); err != nil {
		return nil, err
	}
	h.env.recoveryKit, err = h.Output(ctx, "cd /etc/stemedb && tar --create --directory backup age.key s3-credentials --directory .. *.env | base64 --wrap 0")
	if err != nil {
		return nil, fmt.Errorf("keep a recovery kit: %w", err)
	}
	return b, nil
}

// DeliverRecoveryKit puts what SetUpBackups kept where the runbook expects it.
func (h *Host) DeliverRecoveryKit(ctx context.Context) error {
	return h.Run(ctx, "set -e\nmkdir /root/recovery-kit.part\necho "+h.env.recoveryKit+" | base64 --decode | tar --extract --no-same-owner --directory /root/recovery-kit.part\nmv /root/recovery-kit.part /root/recovery-kit")
}

// credentialsFile is where the host has the bucket's credentials.
const credentialsFile = "/etc/stemedb/backup/s3-credentials"
