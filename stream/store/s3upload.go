package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/millrace/millrace/stream"
)

// maxParts is the most parts that S3 takes of one object.
const maxParts = 10_000

func badPartNumber(key string, n int32) error {
	return fmt.Errorf("store: upload part %s: %w: part number %d is not within 1 and %d", key, stream.ErrPermanent, n, maxParts)
}

// Create asks for a checksum of the whole object: it is the one that HEAD shows, and a hash of the file's bytes can be
// compared with it, whatever the parts were.
func (s *s3Store) Create(ctx context.Context, key string, meta map[string]string) (id string, err error) {
	defer s.metrics.seen("create_upload", time.Now(), &err)
	if err := checkKey("create upload", key); err != nil {
		return "", err
	}
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	out, err := s.c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &s.bucket, Key: s.full(key), Metadata: meta,
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc64nvme, ChecksumType: types.ChecksumTypeFullObject})
	if err != nil {
		return "", s.fault(ctx, "create upload", key, err)
	}
	return aws.ToString(out.UploadId), nil
}

func (s *s3Store) Part(ctx context.Context, key, id string, n int32, body []byte) (p Part, err error) {
	defer s.metrics.seen("upload_part", time.Now(), &err)
	if err := checkKey("upload part", key); err != nil {
		return Part{}, err
	}
	if n < 1 || n > maxParts {
		return Part{}, badPartNumber(key, n)
	}
	ctx, cancel := patience(ctx, len(body))
	defer cancel()
	crc := EncodeCRC(CRC64NVME(0, body))
	out, err := s.c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &s.bucket, Key: s.full(key), UploadId: &id, PartNumber: &n,
		Body: bytes.NewReader(body), ContentLength: aws.Int64(int64(len(body))), ChecksumCRC64NVME: &crc}, unsigned)
	if err != nil {
		return Part{}, s.fault(ctx, "upload part", key, err)
	}
	return Part{N: n, ETag: aws.ToString(out.ETag), Size: int64(len(body)), CRC64NVME: cmp.Or(aws.ToString(out.ChecksumCRC64NVME), crc)}, nil
}

// Complete sends no condition: on AWS a conflict in a conditional Complete ends the upload.
func (s *s3Store) Complete(ctx context.Context, key, id string, parts []Part) (err error) {
	defer s.metrics.seen("complete_upload", time.Now(), &err)
	if err := checkKey("complete", key); err != nil {
		return err
	}
	done := make([]types.CompletedPart, len(parts))
	for i, p := range parts {
		done[i] = types.CompletedPart{PartNumber: aws.Int32(p.N), ETag: aws.String(p.ETag)}
		if p.CRC64NVME != "" {
			done[i].ChecksumCRC64NVME = aws.String(p.CRC64NVME)
		}
	}
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	_, err = s.c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &s.bucket, Key: s.full(key), UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	if err != nil {
		return s.fault(ctx, "complete", key, err)
	}
	return nil
}

func (s *s3Store) Abort(ctx context.Context, key, id string) (err error) {
	defer s.metrics.seen("abort_upload", time.Now(), &err)
	if err := checkKey("abort", key); err != nil {
		return err
	}
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	_, err = s.c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &s.bucket, Key: s.full(key), UploadId: &id})
	if err != nil {
		return s.fault(ctx, "abort", key, err)
	}
	return nil
}

func (s *s3Store) Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		in := &s3.ListMultipartUploadsInput{Bucket: &s.bucket, Prefix: s.full(prefix)}
		for {
			out, err := s.uploadsPage(ctx, prefix, in)
			if err != nil {
				yield(Upload{}, err)
				return
			}
			for _, u := range out.Uploads {
				key, ok := strings.CutPrefix(aws.ToString(u.Key), s.prefix)
				if ok && !yield(Upload{Key: key, ID: aws.ToString(u.UploadId), Started: aws.ToTime(u.Initiated)}, nil) {
					return
				}
			}
			if !aws.ToBool(out.IsTruncated) || (aws.ToString(out.NextKeyMarker) == aws.ToString(in.KeyMarker) &&
				aws.ToString(out.NextUploadIdMarker) == aws.ToString(in.UploadIdMarker)) {
				return
			}
			in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker
		}
	}
}

func (s *s3Store) uploadsPage(ctx context.Context, prefix string, in *s3.ListMultipartUploadsInput) (out *s3.ListMultipartUploadsOutput, err error) {
	defer s.metrics.seen("list_uploads", time.Now(), &err)
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	out, err = s.c.ListMultipartUploads(ctx, in)
	if err != nil {
		return nil, s.fault(ctx, "list uploads", prefix, err)
	}
	return out, nil
}

func (s *s3Store) Parts(ctx context.Context, key, id string) ([]Part, error) {
	if err := checkKey("list parts", key); err != nil {
		return nil, err
	}
	in := &s3.ListPartsInput{Bucket: &s.bucket, Key: s.full(key), UploadId: &id}
	var parts []Part
	for {
		out, err := s.partsPage(ctx, key, in)
		if err != nil {
			return nil, err
		}
		for _, p := range out.Parts {
			parts = append(parts, Part{N: aws.ToInt32(p.PartNumber), ETag: aws.ToString(p.ETag), Size: aws.ToInt64(p.Size),
				CRC64NVME: aws.ToString(p.ChecksumCRC64NVME)})
		}
		if !aws.ToBool(out.IsTruncated) || out.NextPartNumberMarker == nil || aws.ToString(out.NextPartNumberMarker) == aws.ToString(in.PartNumberMarker) {
			return parts, nil
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
}

func (s *s3Store) partsPage(ctx context.Context, key string, in *s3.ListPartsInput) (out *s3.ListPartsOutput, err error) {
	defer s.metrics.seen("list_parts", time.Now(), &err)
	ctx, cancel := patience(ctx, 0)
	defer cancel()
	out, err = s.c.ListParts(ctx, in)
	if err != nil {
		return nil, s.fault(ctx, "list parts", key, err)
	}
	return out, nil
}
