set -eu
git clone -q https://github.com/octo/hello.git
cd hello
cat README.md
echo "A line more." >>README.md
git -c user.name=Ada -c user.email=ada@example.com commit -qam 'Say more'
git push -q origin HEAD:refs/heads/more
git ls-remote --heads origin
