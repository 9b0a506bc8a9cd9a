set -eu
export AWS_DEFAULT_REGION=eu-west-1 AWS_PAGER=
aws sts get-caller-identity --query Arn --output text
aws dynamodb list-tables --output json
head -c 20971520 /dev/urandom >film.bin
aws s3 mb s3://photos
aws s3 cp --no-progress film.bin s3://photos/films/film.bin
aws s3 cp --no-progress s3://photos/films/film.bin back.bin
cmp film.bin back.bin && echo "The same."
aws s3 ls s3://photos/films/ | awk '{ print $3, $4 }'
