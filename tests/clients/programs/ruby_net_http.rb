require 'net/http'
answer = Net::HTTP.get_response(URI(ARGV[0]), 'Authorization' => "Bearer #{ENV['CLIENTS_API_KEY']}")
puts answer.body
exit(answer.code == '200')
