require 'faraday'
answer = Faraday.get(ARGV[0], nil, 'Authorization' => "Bearer #{ENV['CLIENTS_API_KEY']}")
puts answer.body
exit(answer.status == 200)
