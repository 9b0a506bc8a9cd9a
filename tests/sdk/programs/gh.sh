set -eu
gh api user --jq .login
gh api --paginate 'repos/octo/hello/issues?state=open' --jq '.[].title'
gh api repos/octo/hello/issues -f title='It leaks' -f body='Water, not secrets.' --jq .number
gh api graphql -f query='query { viewer { login } }' --jq .data.viewer.login
gh label create waterworks --repo octo/hello --description 'All that leaks' --color 0000ff
gh repo clone octo/hello -- -q
cat hello/README.md
