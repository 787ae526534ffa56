package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/stream"
)

const (
	// dialTimeout is how long a connection may take: a broker that is there answers within milliseconds, and
	// "cannot be reached" has to be said within about ten seconds.
	dialTimeout = 5 * time.Second
	// callTimeout bounds a question (metadata, offsets) with the client's own retries, which end after retryTimeout.
	callTimeout  = 10 * time.Second
	retryTimeout = 6 * time.Second
	// metadataMinAge is for how long the client believes what it knows of a topic. Partitions that are new to us are asked about
	// at once, and a client that believes its older view would say that they are not there.
	metadataMinAge = 100 * time.Millisecond
	// maxRead bounds an answer. Brokers send at least one whole batch, even if it is larger than asked for; the
	// largest that a topic may allow in practice is far below this.
	maxRead = 128 << 20
	// maxDecompressed bounds what a batch may grow to: four times the largest record that a pipeline takes by default. A
	// batch of the usual 1 MiB that exceeds it has grown more than sixtyfold, which is a bomb.
	maxDecompressed = 64 << 20
)

// connect makes a client. role goes into the client id, by which brokers' logs and quotas name it.
func (s *Source) connect(role string, more ...kgo.Opt) (*kgo.Client, error) {
	id := "millrace." + s.d.Pipeline
	if s.d.Session != "" {
		id += "." + s.d.Session
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(s.c.brokers()...),
		kgo.ClientID(id + "." + role),
		kgo.SoftwareNameAndVersion("millrace", "0"),
		kgo.DisableClientMetrics(), // pushed to the broker by default
		kgo.DialTimeout(dialTimeout),
		kgo.BrokerMaxReadBytes(maxRead),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.MaxDecompressBatchBytes(maxDecompressed),
		kgo.WithPools(s.pool),
	}
	if s.tls != nil {
		opts = append(opts, kgo.DialTLSConfig(s.tls.Clone()))
	}
	if s.sasl != nil {
		opts = append(opts, kgo.SASL(s.sasl))
	}
	cl, err := kgo.NewClient(append(append(opts, more...), s.d.Options...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: client: %w: %w", stream.ErrPermanent, err)
	}
	return cl, nil
}

func (c *TLS) config() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	bad := func(key, file string, err error) error {
		err = fmt.Errorf("kafka: tls.%s %s: %w: %w", key, file, stream.ErrPermanent, err)
		return stream.WithNext(err, "check the file and that this user may read it")
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, bad("ca", c.CA, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, bad("ca", c.CA, errors.New("no certificate in PEM form is in it"))
		}
	}
	if c.Cert != "" {
		if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
			return nil, bad("cert", c.Cert, err)
		}
		// Read anew for each connection, so that certificates that are rotated are found.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
			return &pair, err
		}
	}
	return t, nil
}

func (c *SASL) mechanism() sasl.Mechanism {
	user, pass := c.Username, c.Password.Reveal()
	switch c.Mechanism {
	case mechPlain:
		return plain.Auth{User: user, Pass: pass}.AsMechanism()
	case mechScram256:
		return scram.Auth{User: user, Pass: pass}.AsSha256Mechanism()
	case mechScram512:
		return scram.Auth{User: user, Pass: pass}.AsSha512Mechanism()
	case mechOAuth:
		return oauth.Auth{Token: pass}.AsMechanism()
	}
	if user != "" {
		return aws.Auth{AccessKey: user, SecretKey: pass}.AsManagedStreamingIAMMechanism()
	}
	return aws.ManagedStreamingIAM(func(ctx context.Context) (aws.Auth, error) {
		// Asked for each connection: temporary credentials expire.
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return aws.Auth{}, err
		}
		cr, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return aws.Auth{}, err
		}
		return aws.Auth{AccessKey: cr.AccessKeyID, SecretKey: cr.SecretAccessKey, SessionToken: cr.SessionToken, UserAgent: "millrace"}, nil
	})
}
