require 'faraday'
answer = Faraday.get(ARGV[0])
puts answer.body
exit(answer.status == 200)
