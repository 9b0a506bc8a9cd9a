// Calls /echo.Echo/Say with bytes; the answer is printed as it is.
const grpc = require('@grpc/grpc-js');
const bytes = (value) => value;
const client = new grpc.Client(process.argv[2], grpc.credentials.createSsl());
const metadata = new grpc.Metadata();
metadata.set('authorization', `Bearer ${process.env.CLIENTS_API_KEY}`);
const options = { deadline: Date.now() + 20000 };
client.makeUnaryRequest('/echo.Echo/Say', bytes, bytes, Buffer.from('hello'), metadata, options, (error, answer) => {
  console.log(error ? error.message : String(answer));
  client.close();
  process.exitCode = error ? 1 : 0;
});
